//! `org.slothd.Slothd1.Run`.

use super::call::{Answer, Known};
use super::values::Options;
use super::{answers, manager, pipes};

pub(super) async fn answer(known: &Known<'_>, id: &str, member: &str) -> Answer {
    // Only queued and running runs are objects.
    let view = answers::open_run(known, id).await?;
    match member {
        "Cancel" => {
            let options: Options = known.call.arguments()?;
            manager::cancel(known, &view.id, &options).await
        }
        _ => pipes::open_log(known, &view.id).await,
    }
}
