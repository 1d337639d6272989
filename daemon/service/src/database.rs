//! The database and its backups, for administrators.

use std::time::Instant;

use sloth_api::{
    BackupRequest, BackupVerifyReply, BackupView, DbCheckReply, DbStatusView, ErrorCode, Page, QueryReply, TableView,
};
use sloth_core::record::{Severity, Value};

use crate::access::Action;
use crate::{Caller, Service, ServiceError};

impl Service {
    /// Size, tables, last backup.
    pub async fn db_status(&self, caller: &Caller) -> Result<DbStatusView, ServiceError> {
        self.require_admin(caller, Action::new("db:read", "db", "status")).await?;
        let status = self.store.status()?;
        Ok(DbStatusView {
            path: status.path.display().to_string(),
            schema_version: u32::try_from(status.version).unwrap_or(0),
            database_bytes: status.size_bytes,
            wal_bytes: status.wal_bytes,
            free_bytes: status.free_pages * status.page_bytes,
            tables: status.rows.into_iter().map(|(name, rows)| TableView { name, rows }).collect(),
            last_backup: self.host.backups()?.into_iter().next(),
            integrity: self.store.meta("last_check")?,
        })
    }

    /// One reading statement.
    pub async fn db_query(&self, caller: &Caller, sql: &str) -> Result<QueryReply, ServiceError> {
        let action = Action::new("db:query", "db", sql.chars().take(200).collect::<String>());
        self.require_admin(caller, action.clone()).await?;
        let audit = self.audit_ok(caller, &action, vec![("sql", Value::Text(sql.chars().take(2000).collect()))]);
        // Reading must stay possible when nothing can be written.
        if let Err(problem) = self.engine.commit(vec![audit]).await {
            tracing::warn!(%problem, user = caller.name, sql, "a query could not be recorded");
        }
        let (store, sql) = (self.store.clone(), sql.to_owned());
        let result = blocking(move || store.query(&sql, sloth_store::QueryLimits::default())).await?;
        match result {
            Ok(result) => Ok(QueryReply { columns: result.columns, rows: result.rows, truncated: result.truncated }),
            Err(sloth_store::StoreError::Internal(problem) | sloth_store::StoreError::Query(problem)) => {
                Err(ServiceError::field("sql", problem)
                    .hint("one SELECT, EXPLAIN or permitted PRAGMA; see slothctl db schema"))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Looks at every page.
    pub async fn db_check(&self, caller: &Caller) -> Result<DbCheckReply, ServiceError> {
        self.require_admin(caller, Action::new("db:read", "db", "check")).await?;
        let begin = Instant::now();
        let store = self.store.clone();
        let findings = blocking(move || store.integrity_check()).await??;
        let reply =
            DbCheckReply { ok: findings.is_empty(), duration_ms: begin.elapsed().as_secs_f64() * 1000.0, findings };
        Ok(reply)
    }

    /// Gives free pages back to the file system.
    pub async fn db_vacuum(&self, caller: &Caller) -> Result<DbStatusView, ServiceError> {
        let action = Action::new("db:write", "db", "vacuum");
        self.require_admin(caller, action.clone()).await?;
        let store = self.store.clone();
        blocking(move || store.vacuum()).await??;
        // Recorded afterwards: on a full disk the entry may find room only then.
        let _ = self.engine.commit(vec![self.audit_ok(caller, &action, Vec::new())]).await;
        self.db_status(caller).await
    }

    /// All backups, newest first.
    pub async fn backups(&self, caller: &Caller) -> Result<Page<BackupView>, ServiceError> {
        self.require_admin(caller, Action::new("backup:list", "backup", "*")).await?;
        Ok(Page { items: self.host.backups()?, next_cursor: None })
    }

    /// Makes one, while everything goes on.
    pub async fn backup_create(&self, caller: &Caller, request: BackupRequest) -> Result<BackupView, ServiceError> {
        self.require_admin(caller, Action::new("backup:create", "backup", "*")).await?;
        self.backup_now(caller, "manual", request).await
    }

    /// Makes one for whoever may.
    pub async fn backup_now(
        &self,
        caller: &Caller,
        kind: &'static str,
        request: BackupRequest,
    ) -> Result<BackupView, ServiceError> {
        let host = self.host.clone();
        let description = request.description.unwrap_or_default();
        let begin = Instant::now();
        let result = blocking(move || host.backup_create(kind, &description, !request.no_logs)).await?;
        let now = self.host.now();
        let seconds = begin.elapsed().as_secs_f64();
        match result {
            Ok(view) => {
                let data = vec![
                    ("backup_id", Value::Text(view.id.clone())),
                    ("backup_type", Value::Text("full".to_owned())),
                    ("destination", Value::Text(view.path.clone())),
                    ("size", Value::Int(i64::try_from(view.size_bytes).unwrap_or(i64::MAX))),
                    ("duration", Value::Float(seconds)),
                ];
                let event = self.event(
                    now,
                    "backup.completed",
                    Severity::Info,
                    format!("backup {} made", view.id),
                    caller,
                    data,
                );
                let audit = self.audit_ok(caller, &Action::new("backup:create", "backup", &view.id), Vec::new());
                self.engine.commit(vec![event, audit]).await?;
                Ok(view)
            }
            Err(error) => {
                let data = vec![("error", Value::Text(error.message.clone())), ("duration", Value::Float(seconds))];
                let message = format!("backup failed: {}", error.message);
                let event = self.event(now, "backup.failed", Severity::Error, message, caller, data);
                let _ = self.engine.commit(vec![event]).await;
                Err(error)
            }
        }
    }

    /// Compares a backup with its sums.
    pub async fn backup_verify(&self, caller: &Caller, id: &str) -> Result<BackupVerifyReply, ServiceError> {
        self.require_admin(caller, Action::new("backup:read", "backup", id)).await?;
        let (host, id) = (self.host.clone(), id.to_owned());
        blocking(move || host.backup_verify(&id)).await?
    }

    /// Deletes a backup.
    pub async fn backup_delete(&self, caller: &Caller, id: &str) -> Result<(), ServiceError> {
        let action = Action::new("backup:delete", "backup", id);
        self.require_admin(caller, action.clone()).await?;
        self.engine.commit(vec![self.audit_ok(caller, &action, Vec::new())]).await?;
        self.host.backup_delete(id)
    }

    /// Has the daemon stop, restore and start again. The answer comes before that.
    pub async fn backup_restore(&self, caller: &Caller, id: &str) -> Result<(), ServiceError> {
        let action = Action::new("backup:restore", "backup", id);
        self.require_admin(caller, action.clone()).await?;
        let verified = self.backup_verify(caller, id).await?;
        if !verified.ok {
            return Err(ServiceError::new(
                ErrorCode::Conflict,
                format!("backup {id} is damaged: {}", verified.findings.join("; ")),
            )
            .hint("choose another one: slothctl sysadmin backup list"));
        }
        self.engine.commit(vec![self.audit_ok(caller, &action, Vec::new())]).await?;
        self.host.restore_and_restart(id)
    }
}

/// Work that takes long, away from the threads that answer others.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, ServiceError> {
    tokio::task::spawn_blocking(work).await.map_err(|error| ServiceError::new(ErrorCode::Internal, error.to_string()))
}
