//! Carries an import out: what the reader of foreign schedules planned is made, each schedule by the same rules as any other.

use sloth_api::{ErrorCode, ImportReport, ImportRequest, ScheduleSpec};
use sloth_core::Uid;
use sloth_core::machine::Loaded;

use crate::access::Action;
use crate::fields::{Whose, build};
use crate::import::{ImportContext, Made, import};
use crate::{Caller, Mode, Service, ServiceError};

/// Largest number of texts in one request.
const SOURCES_MAX: usize = 2000;
/// A unit cannot be edited as a schedule can.
const LIMIT_REMEDY: &str =
    "a drop-in of the service that empties that line (`LimitNOFILE=`, `IOWeight=`) imports it without the limit";

impl Service {
    /// Imports foreign schedules, or says what would be made.
    pub async fn import(&self, caller: &Caller, request: &ImportRequest) -> Result<ImportReport, ServiceError> {
        if request.sources.len() > SOURCES_MAX {
            return Err(ServiceError::field("sources", format!("are more than {SOURCES_MAX}")));
        }
        if let Some(user) = request.user.as_deref().filter(|user| *user != caller.name) {
            self.require_admin(caller, Action::new("schedule:import", "schedule", format!("{user}/*"))).await?;
            if self.host.user_id(user).is_none() {
                return Err(ServiceError::field("user", format!("there is no user {user:?} on this host")));
            }
        }
        let context = ImportContext {
            default_user: caller.name.clone(),
            local_zone: self.host.zone(None).and_then(|zone| zone.iana_name().map(str::to_owned)),
        };
        let mut report = ImportReport { lines: Vec::new(), made: 0, refused: 0, dry_run: request.dry_run };
        for planned in import(request, &context) {
            let mut line = planned.line;
            if let Some(made) = planned.made {
                line.schedule = Some(made.name.clone());
                match self.make(caller, &made, request).await {
                    Ok(outcome) => line.outcome = outcome,
                    Err(error) => {
                        line.outcome = "refused".to_owned();
                        let is_limit = error.details.get("field").is_some_and(|field| field == "limits");
                        line.notes.push(error.to_string());
                        if is_limit && request.format == "systemd" {
                            line.notes.push(LIMIT_REMEDY.to_owned());
                        }
                    }
                }
                line.spec = Some(made.spec);
            }
            match line.outcome.as_str() {
                "refused" => report.refused += 1,
                "made" | "updated" => report.made += 1,
                _ => {}
            }
            report.lines.push(line);
        }
        Ok(report)
    }

    async fn make(&self, caller: &Caller, made: &Made, request: &ImportRequest) -> Result<String, ServiceError> {
        let name = match &made.user {
            Some(user) if *user != caller.name => format!("{user}/{}", made.name),
            _ => made.name.clone(),
        };
        let (owner, bare) = self.owner_of(caller, &name, "schedule:import").await?;
        let existing = self.store.schedule_by_name(owner, &bare)?;
        if request.dry_run {
            return self.would_make(caller, (owner, bare), existing, &made.spec, request.replace).await;
        }
        let mode = if request.replace { Mode::IfChanged } else { Mode::Create };
        match self.put(caller, &name, &made.spec, mode).await {
            Ok(change) if change.change == "created" => Ok("made".to_owned()),
            Ok(change) => Ok(change.change),
            // Importing twice is harmless: what is there already and the same is left alone.
            Err(error) if error.code == ErrorCode::AlreadyExists => {
                let same = existing.is_some_and(|was| self.is_same(&was, &made.spec));
                if same { Ok("unchanged".to_owned()) } else { Err(error) }
            }
            Err(error) => Err(error),
        }
    }

    /// What [`Service::put`] would do, with its refusals.
    async fn would_make(
        &self,
        caller: &Caller,
        (owner, name): (Uid, String),
        existing: Option<Loaded>,
        spec: &ScheduleSpec,
        replace: bool,
    ) -> Result<String, ServiceError> {
        let Some(was) = existing else {
            let whose = Whose {
                id: self.new_id(),
                owner,
                owner_name: self.host.user_name(owner).unwrap_or_else(|| caller.name.clone()),
                name,
                origin: sloth_core::Origin::Api,
            };
            let schedule = build(&*self.host, whose, spec)?;
            self.may_create(caller, &schedule).await?;
            return Ok("made".to_owned());
        };
        let built = build(&*self.host, crate::schedules::whose(&was.schedule), spec)?;
        if self.is_same(&was, spec) {
            return Ok("unchanged".to_owned());
        }
        if !replace {
            return Err(crate::adding::name_taken(&was.schedule.name));
        }
        self.not_of_a_file(&was)?;
        self.may_run_as(caller, &was.schedule, "schedule:update").await?;
        self.may_run_as(caller, &built, "schedule:update").await?;
        Ok("updated".to_owned())
    }

    fn is_same(&self, was: &Loaded, spec: &ScheduleSpec) -> bool {
        let built = build(&*self.host, crate::schedules::whose(&was.schedule), spec);
        built.is_ok_and(|built| {
            let (mut a, mut b) = (crate::show::full_spec(&was.schedule), crate::show::full_spec(&built));
            (a.anchor, b.anchor) = (None, None);
            (a.enabled, b.enabled) = (None, None);
            a == b
        })
    }
}
