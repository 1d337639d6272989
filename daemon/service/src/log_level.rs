//! The level of the log, changed while the daemon runs.

use sloth_core::record::Value;

use crate::access::Action;
use crate::{Caller, Service, ServiceError};

/// The levels of `log.level`, from the fewest messages to the most.
pub const LEVELS: [&str; 5] = ["error", "warn", "info", "debug", "trace"];

impl Service {
    /// Logs at this level from now on, until it is set again, the configuration is read again or the daemon starts again.
    pub async fn set_log_level(&self, caller: &Caller, level: &str) -> Result<(), ServiceError> {
        let action = Action::new("daemon:log_level", "daemon", "log.level");
        self.require_admin(caller, action.clone()).await?;
        if !LEVELS.contains(&level) {
            let message = format!("{level:?} is not one of {}", LEVELS.join(", "));
            return Err(self.refuse(caller, &action, ServiceError::field("log.level", message)).await);
        }
        let was = self.host.log_level();
        self.host.set_log_level(level);
        let details = vec![("from", Value::Text(was)), ("to", Value::Text(level.to_owned()))];
        // More of the log is often wanted just when nothing can be written.
        if let Err(problem) = self.engine.commit(vec![self.audit_ok(caller, &action, details)]).await {
            tracing::warn!(%problem, user = caller.name, level, "the change of the log level could not be recorded");
        }
        Ok(())
    }
}
