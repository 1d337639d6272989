//! Reading requests: who asks, the query, the body. Everything that is wrong is said with its place.

use axum::body::Bytes;
use axum::extract::{ConnectInfo, FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use serde::de::DeserializeOwned;
use sloth_api::{BODY_BYTES_MAX, ErrorCode};
use sloth_service::{Caller, ServiceError};

use super::Door;
use super::answer::{Refused, RequestId};
use super::peer::Peer;

/// The caller behind the connection.
pub(crate) struct Who(pub(crate) Caller);

impl FromRequestParts<Door> for Who {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, door: &Door) -> Result<Self, Refused> {
        let id = parts.extensions.get::<RequestId>().cloned().unwrap_or_default();
        let uid = parts.extensions.get::<ConnectInfo<Peer>>().and_then(|info| info.0.uid);
        let uid = uid.ok_or_else(|| {
            ServiceError::new(
                ErrorCode::Unauthenticated,
                "the kernel does not tell who is at the other end of the socket",
            )
        })?;
        Ok(Who(Caller::from_peer(door.service.host(), uid, id.0)))
    }
}

/// The one parameter of a path, decoded.
pub(crate) struct Path(pub(crate) String);

impl FromRequestParts<Door> for Path {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, door: &Door) -> Result<Self, Refused> {
        let read = axum::extract::Path::<String>::from_request_parts(parts, door).await;
        read.map(|path| Path(path.0)).map_err(|rejection| {
            ServiceError::new(ErrorCode::InvalidArgument, format!("path: {}", rejection.body_text())).into()
        })
    }
}

/// The query string; unknown parameters are errors.
pub(crate) struct Query<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequestParts<Door> for Query<T> {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, _: &Door) -> Result<Self, Refused> {
        let query = parts.uri.query().unwrap_or("");
        serde_urlencoded::from_str(query).map(Query).map_err(|error| {
            let message = format!("query: {error}");
            ServiceError::new(ErrorCode::InvalidArgument, message).hint("see /api/v1/openapi.json").into()
        })
    }
}

/// A JSON body. An empty one is read as `{}`.
pub(crate) struct Body<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequest<Door> for Body<T> {
    type Rejection = Refused;

    async fn from_request(request: Request, door: &Door) -> Result<Self, Refused> {
        let bytes = match Bytes::from_request(request, door).await {
            Ok(bytes) => bytes,
            Err(rejection) if rejection.status().as_u16() == 413 => {
                let message = format!("the body is larger than {BODY_BYTES_MAX} bytes");
                return Err(ServiceError::new(ErrorCode::PayloadTooLarge, message).into());
            }
            Err(rejection) => {
                return Err(ServiceError::new(ErrorCode::InvalidArgument, format!("body: {rejection}")).into());
            }
        };
        let text = if bytes.is_empty() { b"{}" } else { &*bytes };
        // Serde would read an array as the fields of a type in their order.
        if text.trim_ascii_start().first() == Some(&b'[') {
            return Err(
                ServiceError::new(ErrorCode::InvalidArgument, "body: an object is expected, not an array").into()
            );
        }
        serde_json::from_slice(text).map(Body).map_err(|error| {
            ServiceError::new(ErrorCode::InvalidArgument, format!("body: {error}"))
                .with("line", error.line())
                .with("column", error.column())
                .into()
        })
    }
}

/// `wait=30s` and the like.
pub(crate) fn duration(field: &str, text: Option<&str>) -> Result<Option<std::time::Duration>, ServiceError> {
    text.map(|text| sloth_service::parse_span(field, text)).transpose()
}
