//! `maintenance info`

use jiff::{SignedDuration, Timestamp};
use kopist_format::maintenance::{Cycle, MaintenanceParameters, RunInfo, Schedule};
use kopist_snapshot::maintenance;
use serde::{Serialize, Serializer};

use crate::commands::shared;
use crate::grammar::Command;
use crate::{
    app::{App, Outcome},
    error::Context as _,
    grammar::Matches,
    output::{JsonOutput, duration},
    session,
};

/// `maintenance info`
pub(super) static COMMAND: Command = Command::new("info", "Show the state of maintenance.")
    .aliases(&["status"])
    .flags(&[shared::JSON])
    .run(run);

/// The state of maintenance as kopia prints it.
#[derive(Serialize)]
struct Info<'a> {
    #[serde(flatten)]
    parameters: &'a MaintenanceParameters,
    schedule: ShownSchedule<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ShownSchedule<'a> {
    #[serde(with = "kopist_format::json::time")]
    next_full_maintenance: Timestamp,
    #[serde(with = "kopist_format::json::time")]
    next_quick_maintenance: Timestamp,
    #[serde(serialize_with = "null_if_empty")]
    runs: &'a std::collections::BTreeMap<String, Vec<RunInfo>>,
}

/// A repository without any run has `null`.
#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn null_if_empty<S: Serializer>(
    runs: &&std::collections::BTreeMap<String, Vec<RunInfo>>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    if runs.is_empty() { serializer.serialize_unit() } else { runs.serialize(serializer) }
}

fn run(app: &App, matches: &Matches) -> Outcome {
    session::read(app, |session| {
        let parameters = maintenance::parameters(&session.repo.manifests()?)
            .context("unable to get maintenance parameters")?;
        let schedule =
            session.repo.maintenance_schedule().context("unable to get maintenance schedule")?;
        let output = JsonOutput::new(matches);
        if output.json {
            let schedule = ShownSchedule {
                next_full_maintenance: schedule.next_full_maintenance,
                next_quick_maintenance: schedule.next_quick_maintenance,
                runs: &schedule.runs,
            };
            return output.print(&app.console, &Info { parameters: &parameters, schedule });
        }
        print(app, &parameters, &schedule, session.repo.clock().now())
    })
}

fn nanos(duration: SignedDuration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}

/// A duration in whole seconds.
fn seconds(time: SignedDuration) -> String {
    duration(time.as_secs().saturating_mul(1_000_000_000))
}

fn print(
    app: &App,
    parameters: &MaintenanceParameters,
    schedule: &Schedule,
    now: Timestamp,
) -> Outcome {
    let console = &app.console;
    console.line(format!("Owner: {}", parameters.owner))?;
    console.line("Quick Cycle:")?;
    print_cycle(app, &parameters.quick, schedule.next_quick_maintenance, now)?;
    console.line("Full Cycle:")?;
    print_cycle(app, &parameters.full, schedule.next_full_maintenance, now)?;
    let logs = &parameters.log_retention;
    console.line("Log Retention:")?;
    console.line(format!("  max count:       {}", logs.max_count))?;
    console.line(format!("  max age of logs: {}", duration(nanos(logs.max_age))))?;
    console.line(format!("  max total size:  {}", app.size(logs.max_total_size)))?;
    let locks = if parameters.extend_object_locks { "enabled" } else { "disabled" };
    console.line(format!("Object Lock Extension: {locks}"))?;
    if parameters.list_parallelism != 0 {
        console.line(format!("List parallelism: {}", parameters.list_parallelism))?;
    }
    console.line("Recent Maintenance Runs:")?;
    for (task, runs) in &schedule.runs {
        console.line(format!("  {task}:"))?;
        for run in runs {
            let took = seconds(run.end.duration_since(run.start));
            let result =
                if run.success { "SUCCESS".to_owned() } else { format!("ERROR: {}", run.error) };
            console.line(format!("    {} ({took}) {result}", app.time(run.start)))?;
        }
    }
    Ok(())
}

fn print_cycle(app: &App, cycle: &Cycle, next: Timestamp, now: Timestamp) -> Outcome {
    let console = &app.console;
    console.line(format!("  scheduled: {}", cycle.enabled))?;
    if !cycle.enabled {
        return Ok(());
    }
    console.line(format!("  interval: {}", duration(nanos(cycle.interval))))?;
    if now < next {
        let left = seconds(next.duration_since(now));
        console.line(format!("  next run: {} (in {left})", app.time(next)))?;
    } else {
        console.line("  next run: now")?;
    }
    Ok(())
}
