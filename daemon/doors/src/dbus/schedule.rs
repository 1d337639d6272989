//! `org.slothd.Slothd1.Schedule`. The path says which; the use case is the one that a name leads to.

use sloth_api::{DisableRequest, ErrorCode};

use super::call::{Answer, Known, Refused};
use super::manager;
use super::object::schedule_path;
use super::values::Options;

pub(super) async fn answer(known: &Known<'_>, id: &str, member: &str) -> Answer {
    let call = known.call;
    let name = match call.service().schedule_name(id) {
        Err(error) if error.code == ErrorCode::NotFound => return Err(Refused::no_object(schedule_path(id).as_str())),
        name => name?,
    };
    match member {
        "Enable" => {
            call.service().enable(&known.who, &name).await?;
            call.done()
        }
        "Disable" => {
            call.service().disable(&known.who, &name, DisableRequest::default()).await?;
            call.done()
        }
        _ => {
            let options: Options = call.arguments()?;
            manager::run_now(known, &name, &options).await
        }
    }
}
