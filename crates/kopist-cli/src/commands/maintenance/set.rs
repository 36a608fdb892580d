//! `maintenance set`

use jiff::{SignedDuration, Timestamp};
use kopist_format::maintenance::{Cycle, MaintenanceParameters, Schedule};
use kopist_snapshot::maintenance;

use crate::grammar::Matches;
use crate::grammar::{Command, Flag};
use crate::{
    app::{App, Outcome},
    error::{CommandError, Context as _},
    output::duration,
    session::{self, Session},
};

const FLAGS: &[Flag] = &[
    Flag::text("owner", "Owner of maintenance, user@host, or 'me'."),
    Flag::bool_values("enable-quick", "Enable quick maintenance."),
    Flag::bool_values("enable-full", "Enable full maintenance."),
    Flag::duration("quick-interval", "Interval of quick maintenance."),
    Flag::duration("full-interval", "Interval of full maintenance."),
    Flag::duration("pause-quick", "Pause quick maintenance for this long."),
    Flag::duration("pause-full", "Pause full maintenance for this long."),
    Flag::int("max-retained-log-count", "Number of repository logs to keep."),
    Flag::duration("max-retained-log-age", "Age up to which repository logs are kept."),
    Flag::int64("max-retained-log-size-mb", "Total size of repository logs to keep, in MB."),
    Flag::bool_values("extend-object-locks", "Extend object locks during full maintenance."),
    Flag::int("list-parallelism", "Number of parallel listings."),
];

/// `maintenance set`
pub(super) static COMMAND: Command =
    Command::new("set", "Set parameters of maintenance.").flags(&[FLAGS]).run(run);

fn run(app: &App, matches: &Matches) -> Outcome {
    session::write_direct(app, |session, writer| {
        let mut parameters = maintenance::parameters(&writer.manifests()?)
            .context("unable to get current parameters")?;
        let change = Change { app, matches };
        let changed_parameters = change.parameters(session, &mut parameters);
        // Only read when it is to be changed: it may be damaged, which maintenance will notice.
        let mut schedule = Schedule::default();
        let pauses = ["pause-quick", "pause-full"].iter().any(|flag| change.given(flag).is_some());
        if pauses {
            schedule =
                session.repo.maintenance_schedule().context("unable to get current parameters")?;
        }
        let changed_schedule = change.schedule(&mut schedule, session.repo.clock().now());
        if !changed_parameters && !changed_schedule {
            return Err(CommandError::new("no changes specified"));
        }
        check_locks(app, session, &parameters).context("unable to apply maintenance changes")?;
        if changed_schedule {
            session.repo.set_maintenance_schedule(&schedule).context("unable to set schedule")?;
        }
        if changed_parameters {
            maintenance::set_parameters(writer, &parameters).context("unable to set params")?;
        }
        Ok(())
    })
}

/// Locks must outlive the time until they are extended next, by a day.
fn check_locks(app: &App, session: &Session, parameters: &MaintenanceParameters) -> Outcome {
    const MARGIN: SignedDuration = SignedDuration::from_hours(24);
    if !parameters.extend_object_locks {
        return Ok(());
    }
    if !parameters.full.enabled {
        app.warn("Object Lock extension will not function because Full-Maintenance is disabled");
    }
    let (period, interval) = (session.repo.blob_cfg().retention_period, parameters.full.interval);
    if period.is_positive() && period - interval < MARGIN {
        let go =
            |time: SignedDuration| duration(i64::try_from(time.as_nanos()).unwrap_or(i64::MAX));
        let (margin, period, interval) = (go(MARGIN), go(period), go(interval));
        return Err(CommandError::new(format!(
            "The repo RetentionPeriod must be {margin} greater than the Full Maintenance interval \
             {period} {interval}"
        )));
    }
    Ok(())
}

struct Change<'a> {
    app: &'a App,
    matches: &'a Matches,
}

impl Change<'_> {
    /// A duration that is given; −1 ns means that it is not.
    fn given(&self, flag: &str) -> Option<i64> {
        self.matches.duration(flag).filter(|nanos| *nanos != -1)
    }

    fn number(&self, flag: &str) -> Option<i64> {
        self.matches.int(flag).filter(|number| *number != -1)
    }

    /// Applies the flags about parameters; tells whether there were any.
    fn parameters(&self, session: &Session, parameters: &mut MaintenanceParameters) -> bool {
        let mut changed = false;
        if let Some(owner) = self.matches.non_empty("owner") {
            parameters.owner = if owner == "me" { session.identity() } else { owner };
            self.app.info(format!("Setting maintenance owner to {}", parameters.owner));
            changed = true;
        }
        changed |= self.cycle("quick", &mut parameters.quick);
        changed |= self.cycle("full", &mut parameters.full);
        let logs = &mut parameters.log_retention;
        if let Some(count) = self.number("max-retained-log-count") {
            logs.max_count = count;
            self.app.info(format!("Setting max retained log count to {count}."));
            changed = true;
        }
        if let Some(nanos) = self.given("max-retained-log-age") {
            logs.max_age = SignedDuration::from_nanos(nanos);
            self.app.info(format!("Setting max retained log age to {}.", duration(nanos)));
            changed = true;
        }
        if let Some(megabytes) = self.number("max-retained-log-size-mb") {
            logs.max_total_size = megabytes << 20;
            let size = self.app.size(logs.max_total_size);
            self.app.info(format!("Setting total retained log size to {size}."));
            changed = true;
        }
        if let Some(parallelism) = self.number("list-parallelism") {
            parameters.list_parallelism = parallelism;
            self.app.info(format!("Setting list parallelism to {parallelism}."));
            changed = true;
        }
        if let Some(extend) = self.matches.bools("extend-object-locks").last() {
            parameters.extend_object_locks = *extend;
            let state = if *extend { "enabled" } else { "disabled" };
            self.app.info(format!("Object Lock extension maintenance {state}."));
            changed = true;
        }
        changed
    }

    fn cycle(&self, name: &str, cycle: &mut Cycle) -> bool {
        let mut changed = false;
        if let Some(enable) = self.matches.bools(&format!("enable-{name}")).last() {
            cycle.enabled = *enable;
            let state = if *enable { "enabled" } else { "disabled" };
            self.app.info(format!("Periodic {name} maintenance {state}."));
            changed = true;
        }
        if let Some(nanos) = self.given(&format!("{name}-interval")) {
            cycle.interval = SignedDuration::from_nanos(nanos);
            let interval = duration(nanos);
            self.app.info(format!("Interval for {name} maintenance set to {interval}."));
            changed = true;
        }
        changed
    }

    /// Applies the flags about the next runs; tells whether there were any.
    fn schedule(&self, schedule: &mut Schedule, now: Timestamp) -> bool {
        let mut changed = false;
        for (flag, name, next) in [
            ("pause-quick", "Quick", &mut schedule.next_quick_maintenance),
            ("pause-full", "Full", &mut schedule.next_full_maintenance),
        ] {
            let Some(nanos) = self.given(flag) else { continue };
            let pause = SignedDuration::from_nanos(nanos);
            *next = now.saturating_add(pause).unwrap_or(Timestamp::MAX);
            let until = self.app.time(*next);
            self.app.info(format!("{name} maintenance paused until {until}"));
            changed = true;
        }
        changed
    }
}
