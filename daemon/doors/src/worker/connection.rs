//! One connection: introduction, then records in, acknowledgements, orders and answers out.

use std::time::Duration;

use sloth_api::worker::{MESSAGE_MAX, Numbered, Refusal, ToSlothd, ToWorker};
use sloth_service::{Hello, Service, ServiceError, Session, Uid};
use tokio::io::AsyncWriteExt;
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::frames::{Incoming, ReadError, frame, send};

/// Longest introduction, bytes, and how long it may take.
const HELLO_MAX: usize = 16 << 10;
const HELLO_TIME: Duration = Duration::from_secs(10);
/// Records in one transaction.
const BATCH_MAX: usize = 4_096;
/// Requests of one worker that are being answered; further ones wait in its socket.
const ASKS_MAX: usize = 4_096;
/// A worker that takes no message for so long has stopped; it may connect again.
const WRITE_TIME: Duration = Duration::from_secs(60);

/// Talks with whoever connected until he leaves or misbehaves.
pub(super) async fn talk(stream: UnixStream, uid: Uid, service: Service) {
    let (reading, mut writing) = stream.into_split();
    let mut incoming = Incoming::new(reading, HELLO_MAX);
    let hello = match tokio::time::timeout(HELLO_TIME, incoming.next::<ToSlothd>()).await {
        Ok(Ok(ToSlothd::Hello { protocol, run, worker, token, fresh })) => {
            Hello { protocol, run, worker, token, fresh }
        }
        Ok(Ok(_)) => return refuse(&mut writing, "invalid_argument", "the first message must be hello").await,
        Ok(Err(ReadError::Wrong(why))) => return refuse(&mut writing, "invalid_argument", &why).await,
        Ok(Err(_)) | Err(_) => return,
    };
    let (session, first, orders) = match Box::pin(service.worker_hello(uid, &hello)).await {
        Ok(welcome) => welcome,
        Err(error) => {
            tracing::warn!(uid = uid.0, run = hello.run, %error, "a worker was refused");
            return refuse(&mut writing, error.code.as_str(), &error.to_string()).await;
        }
    };
    let run = session.run();
    tracing::debug!(SLOTH_RUN = %run, worker = hello.worker, fresh = hello.fresh, "a worker is connected");
    incoming.allow(MESSAGE_MAX);
    let (out, waiting) = mpsc::channel(ASKS_MAX);
    let mut writer = JoinSet::new();
    writer.spawn(write(writing, waiting));
    if out.send(first).await.is_ok()
        && let Err(why) = Box::pin(serve(incoming, session, orders, &out)).await
    {
        tracing::warn!(SLOTH_RUN = %run, code = why.code, problem = why.message, "the connection of a worker is closed");
        let _ = out.send(ToWorker::Refused { code: why.code, message: why.message }).await;
    }
    drop(out);
    let _ = writer.join_next().await;
}

async fn refuse(writing: &mut OwnedWriteHalf, code: &str, message: &str) {
    let refused = ToWorker::Refused { code: code.to_owned(), message: message.to_owned() };
    let _ = tokio::time::timeout(HELLO_TIME, send(writing, &refused)).await;
}

/// Sends what is to be sent, several messages with one system call where they wait already.
async fn write(mut writing: OwnedWriteHalf, mut waiting: mpsc::Receiver<ToWorker>) {
    while let Some(message) = waiting.recv().await {
        let Ok(mut bytes) = frame(&message) else { return };
        while bytes.len() < 64 << 10
            && let Ok(more) = waiting.try_recv()
        {
            match frame(&more) {
                Ok(more) => bytes.extend(more),
                Err(_) => return,
            }
        }
        match tokio::time::timeout(WRITE_TIME, writing.write_all(&bytes)).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) | Err(_) => return,
        }
    }
}

fn wrong(message: impl Into<String>) -> Refusal {
    Refusal { code: "invalid_argument".to_owned(), message: message.into() }
}

fn refusal(error: ServiceError) -> Refusal {
    Refusal { code: error.code.as_str().to_owned(), message: error.to_string() }
}

/// Until the worker leaves. While a batch is being written the next one is read, and nothing beyond it: the socket fills up, and the
/// worker waits.
async fn serve(
    mut incoming: Incoming<OwnedReadHalf>,
    mut session: Session,
    mut orders: mpsc::Receiver<ToWorker>,
    out: &mpsc::Sender<ToWorker>,
) -> Result<(), Refusal> {
    let asker = session.asker();
    let mut asks: JoinSet<()> = JoinSet::new();
    let mut batch: Vec<Numbered> = Vec::new();
    loop {
        // Everything that is here already.
        while batch.len() < BATCH_MAX && asks.len() < ASKS_MAX {
            match incoming.ready::<ToSlothd>().map_err(problem)? {
                None => break,
                Some(ToSlothd::Records { records }) if records.is_empty() => {
                    return Err(wrong("a message without records"));
                }
                Some(ToSlothd::Records { records }) => batch.extend(records),
                Some(ToSlothd::Ask { id, what, body }) => {
                    let (asker, out) = (asker.clone(), out.clone());
                    asks.spawn(async move {
                        let (ok, refused) = match Box::pin(asker.ask(&what, &body)).await {
                            Ok(value) => (Some(value), None),
                            Err(refusal) => (None, Some(refusal)),
                        };
                        let _ = out.send(ToWorker::Answer { id, ok, refused }).await;
                    });
                }
                Some(ToSlothd::Hello { .. }) => return Err(wrong("a second hello")),
            }
        }
        if !batch.is_empty() {
            let upto = Box::pin(session.records(std::mem::take(&mut batch))).await.map_err(refusal)?;
            if out.send(ToWorker::Ack { upto }).await.is_err() {
                return Ok(());
            }
            while let Ok(order) = orders.try_recv() {
                if out.send(order).await.is_err() {
                    return Ok(());
                }
            }
            // More may have come with it.
            continue;
        }
        tokio::select! {
            biased;
            order = orders.recv() => match order {
                Some(order) => if out.send(order).await.is_err() { return Ok(()) },
                // A newer connection has taken over, or the run is over.
                None => return Ok(()),
            },
            Some(_) = asks.join_next() => {}
            more = incoming.more(), if asks.len() < ASKS_MAX => match more {
                Ok(()) => {}
                Err(ReadError::End | ReadError::Io) => return Ok(()),
                Err(ReadError::Wrong(why)) => return Err(wrong(why)),
            },
        }
    }
}

fn problem(error: ReadError) -> Refusal {
    match error {
        ReadError::Wrong(why) => wrong(why),
        ReadError::End | ReadError::Io => wrong("the connection failed"),
    }
}
