//! One process from its arguments to its exit status.

use std::ffi::OsString;
use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use kopist_repo::SystemClock;

use crate::env::Env;
use crate::plan::{MoverPlan, Operation, Refusal, TelemetryPlan, plan};
use crate::probe::{HostProbe, Probe};
use crate::report::{
    CacheUse, Level, MaintenanceSummary, Mask, Outcome, Reason, Report, Summary, bytes,
    environment_status, forward_events, log_configuration, termination_message,
};
use crate::root::ContainerRoot;
use crate::run::{Context, Finished, INTERRUPTED, Impatience, Stop, cache_use, listen, run};
use crate::telemetry::{
    DEFAULT_MAX_AGE, Delivery, HealthFile, Record, Telemetry, is_healthy, peak_memory, publish,
};

/// The kubelet reads the end of the story here.
const TERMINATION_LOG: &str = "/dev/termination-log";
/// A container with less is told that it may be killed.
const LEAST_MEMORY: u64 = 96 << 20;
/// Removing this file ends a pod that only waits.
const DEBUG_FILE: &str = "/tmp/exit-debug-if-removed";

const USAGE: &str = "\
usage: kopist mover [--plan] backup|restore
       DIRECTION=source|destination|maintenance kopist mover [--plan]

The container program of the VolSync Kopia mover. Everything else comes from the
environment; see docs/mover.md.

  --plan      print what would be done, and do nothing
  --health    status 0 if the run whose file KOPIST_HEALTH_FILE names is alive
  --version   print the version
  --help      print this";

/// Runs the mover with the process's own arguments (without the program's name) and
/// environment.
pub fn main(
    arguments: Vec<OsString>,
    env: impl IntoIterator<Item = (OsString, OsString)>,
) -> ExitCode {
    let mut mover = Mover::new(arguments, env);
    // Whole runs outside of a container, for the tests of the program.
    if cfg!(debug_assertions)
        && let Some(root) = mover.env.text("KOPIST_TEST_ROOT").map(ContainerRoot::at)
    {
        mover = mover.with_root(root);
    }
    ExitCode::from(mover.main())
}

/// A mover before it starts.
pub struct Mover {
    arguments: Vec<String>,
    env: Env,
    root: ContainerRoot,
    host_name: Option<String>,
}

impl Mover {
    /// With these arguments and this environment.
    pub fn new(
        arguments: Vec<OsString>,
        env: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Self {
        let arguments = arguments.into_iter().map(|argument| argument.to_string_lossy().into());
        Self {
            arguments: arguments.collect(),
            env: Env::from_os(env),
            root: ContainerRoot::real(),
            host_name: None,
        }
    }

    /// With a directory that stands for `/`.
    #[must_use]
    pub fn with_root(mut self, root: ContainerRoot) -> Self {
        self.root = root;
        self
    }

    /// With another host name than the kernel's.
    #[must_use]
    pub fn with_host_name(mut self, name: impl Into<String>) -> Self {
        self.host_name = Some(name.into());
        self
    }

    /// Runs to the end and returns the exit status.
    pub fn main(mut self) -> u8 {
        let report = Arc::new(self.report());
        let mut only_plan = false;
        while let Some(option) = self.arguments.first().filter(|word| word.starts_with('-')) {
            match option.as_str() {
                "--plan" => only_plan = true,
                "--health" => return self.health(&report),
                "--help" | "-h" => {
                    report.line(USAGE);
                    return 0;
                }
                "--version" => {
                    report.line(version());
                    return 0;
                }
                _ => break, // named as an unknown operation
            }
            self.arguments.remove(0);
        }
        let mut probe = HostProbe::new(self.root.clone());
        if let Some(name) = self.host_name.take() {
            probe = probe.with_host_name(name);
        }
        if only_plan {
            return self.show_plan(&report, &probe);
        }
        forward_events(&report);
        report.line(format!("Starting kopist mover container, {}", version()));
        if self.env.text("DEBUG_MOVER") == Some("1") {
            return self.wait_for_debugging(&report);
        }
        for line in environment_status(&self.env).into_iter().chain(log_configuration(&self.env)) {
            report.line(line);
        }
        self.work(&report, &probe)
    }

    fn report(&self) -> Report {
        let level = Level::of(self.env.text("KOPIA_LOG_LEVEL"));
        let mask = Mask::of(&self.env);
        #[allow(clippy::disallowed_methods)] // log lines carry the machine's time
        let report = Report::new(Box::new(std::io::stdout()), mask, level, Timestamp::now);
        // The other places of this setting are known once the plan is made.
        report.use_json(self.env.text("KOPIST_LOG_FORMAT") == Some("json"));
        report
    }

    fn show_plan(&self, report: &Report, probe: &dyn Probe) -> u8 {
        match plan(&self.arguments, &self.env, probe) {
            Ok(plan) => {
                report.line(plan.show());
                u8::from(!plan.objections.is_empty())
            }
            Err(refusal) => {
                tell(report, &refusal);
                refusal.exit_code()
            }
        }
    }

    /// A probe: is the run in this container alive?
    fn health(&self, report: &Report) -> u8 {
        let Some(path) = self.env.text("KOPIST_HEALTH_FILE") else {
            report.error("KOPIST_HEALTH_FILE must be defined");
            return 2;
        };
        let given = self.env.text("KOPIST_HEALTH_MAX_AGE").map(crate::plan::duration);
        let Some(max_age) = given.unwrap_or(Some(DEFAULT_MAX_AGE)) else {
            report.error("KOPIST_HEALTH_MAX_AGE must be a duration such as 30s or 5m");
            return 2;
        };
        match is_healthy(&self.root.resolve(path), max_age) {
            Ok(()) => 0,
            Err(problem) => {
                report.line(problem);
                1
            }
        }
    }

    /// Does nothing until the file is removed, so that people can look around.
    fn wait_for_debugging(&self, report: &Report) -> u8 {
        let file = self.root.resolve(DEBUG_FILE);
        if let Err(error) = std::fs::write(&file, "") {
            report.error(format!("cannot create {DEBUG_FILE}: {error}"));
            return 1;
        }
        report.line("DEBUG_MOVER is enabled: this pod waits and does nothing.");
        report.line(format!(
            "To run the mover by hand: DEBUG_MOVER= /mover-kopia/entry.sh {}",
            self.arguments.join(" ")
        ));
        report.line(format!("To end this pod, remove {DEBUG_FILE}."));
        while file.exists() {
            std::thread::sleep(Duration::from_secs(1));
        }
        report.line("Debug done, exiting.");
        0
    }

    fn work(self, report: &Arc<Report>, probe: &dyn Probe) -> u8 {
        let started = Instant::now();
        let plan = match plan(&self.arguments, &self.env, probe) {
            Ok(plan) => plan,
            Err(refusal) => return self.refuse(report, probe, &refusal, started),
        };
        report.use_json(plan.log_json);
        for notice in &plan.notices {
            report.warn(&notice.0);
        }
        // Who is killed for it cannot say so any more.
        if let Some(limit) = plan.memory_limit.filter(|limit| *limit < LEAST_MEMORY) {
            report.warn(format!(
                "the memory limit of {} may be too small: deriving the repository's key takes \
                 64 MiB for a moment. Give the pod 128Mi or more",
                bytes(limit)
            ));
        }
        if !plan.argument_names.is_empty() {
            report.info(format!("additional arguments: {}", plan.argument_names.join(" ")));
        }
        let telemetry = Telemetry::default();
        let ending = Arc::new(Ending {
            report: Arc::clone(report),
            root: self.root.clone(),
            label: plan.label.clone(),
            operation: plan.operation().name(),
            source: plan.operation().has_source().then(|| {
                let identity = &plan.identity;
                [&identity.username, &identity.hostname, &plan.source_path].map(String::clone)
            }),
            started,
            plan: plan.telemetry.clone(),
            root_ca: plan.root_ca.clone(),
            memory_limit: plan.memory_limit,
        });
        let context = Context {
            env: self.env,
            root: self.root,
            report: Arc::clone(report),
            stop: Stop::default(),
            clock: Arc::new(SystemClock),
            telemetry,
            progress: plan.telemetry.progress,
            memory_limit: plan.memory_limit,
        };
        let health = health_file(&plan, &context);
        let finished = Finished::default();
        listen_for_signals(&context, &finished, &ending, &plan);
        report.line("=== Starting kopia operations ===");
        report.debug(plan.show());
        let outcome = run(&plan, &context);
        finished.announce();
        let cache = cache_use(&plan, &context);
        let maintenance = (plan.operation() == Operation::Maintenance).then(|| {
            let repository_bytes = context.telemetry.repository_bytes();
            MaintenanceSummary { seconds: started.elapsed().as_secs(), repository_bytes, cache }
        });
        if let Some(health) = health
            && let Err(problem) = health.finish(outcome.verdict.word())
        {
            report.debug(format!("the health file: {problem}"));
        }
        ending.publish(&outcome, Some((&context.telemetry, cache)));
        ending.tell(&outcome, maintenance)
    }

    fn refuse(
        self,
        report: &Arc<Report>,
        probe: &dyn Probe,
        refusal: &Refusal,
        started: Instant,
    ) -> u8 {
        tell(report, refusal);
        let messages: Vec<String> = refusal.errors.iter().map(ToString::to_string).collect();
        let outcome =
            Outcome::failed(Reason::ConfigInvalid, messages.join("; ")).exit(refusal.exit_code());
        let dispatch = refusal.dispatch.as_ref();
        let ending = Ending {
            report: Arc::clone(report),
            root: self.root,
            label: dispatch.map_or("unknown", |dispatch| &dispatch.label).to_owned(),
            operation: dispatch.map_or("unknown", |dispatch| dispatch.operation.name()),
            source: refusal.known.source.clone(),
            started,
            plan: refusal.known.telemetry.clone(),
            root_ca: refusal.known.root_ca.clone(),
            memory_limit: probe.memory_limit(),
        };
        ending.publish(&outcome, None);
        ending.close(&outcome, None)
    }
}

/// Begins to show that the run is alive, where that is asked for.
fn health_file(plan: &MoverPlan, context: &Context) -> Option<HealthFile> {
    let path = plan.telemetry.health_file.as_ref()?;
    let telemetry = &context.telemetry;
    let file = context.root.resolve(path);
    match HealthFile::start(file, plan.operation().name(), &telemetry.pulse, &telemetry.meter) {
        Ok(health) => Some(health),
        Err(problem) => {
            context.report.warn(format!("there is no health file: {problem}"));
            None
        }
    }
}

/// Without the words by which the operator picks lines for the status of a destination.
fn without_telling_words(text: &str) -> String {
    let text = text.split(" (os error").next().unwrap_or_default();
    let lower = text.to_lowercase();
    if ["error", "failed", "unable to"].iter().any(|word| lower.contains(word)) {
        let what = text.split(" did not arrive").next().unwrap_or_default();
        return format!("{what} did not arrive");
    }
    text.to_owned()
}

fn version() -> String {
    format!("kopist {}", env!("CARGO_PKG_VERSION"))
}

fn tell(report: &Report, refusal: &Refusal) {
    for notice in &refusal.notices {
        report.warn(&notice.0);
    }
    for error in &refusal.errors {
        report.error(error.to_string());
    }
}

fn listen_for_signals(
    context: &Context,
    finished: &Finished,
    ending: &Arc<Ending>,
    plan: &MoverPlan,
) {
    let first = Arc::clone(&context.report);
    let ending = Arc::clone(ending);
    let cache = crate::report::CacheUse { used: 0, capacity: plan.cache.capacity };
    let maintenance = plan.operation() == Operation::Maintenance;
    let listening = listen(
        context.stop.clone(),
        finished.clone(),
        move || first.warn("Received SIGTERM signal - stopping"),
        move |why| {
            let outcome = Outcome::failed(Reason::Interrupted, why.words()).exit(INTERRUPTED);
            let seconds = ending.started.elapsed().as_secs();
            let summary = maintenance.then_some(MaintenanceSummary {
                seconds,
                repository_bytes: None,
                cache,
            });
            if why == Impatience::Late {
                ending.publish(&outcome, None);
            }
            std::process::exit(i32::from(ending.tell(&outcome, summary)));
        },
    );
    if let Err(error) = listening {
        context
            .report
            .warn(format!("signals cannot be caught, a stop will be a hard one: {error}"));
    }
}

/// The last things that a run says.
struct Ending {
    report: Arc<Report>,
    root: ContainerRoot,
    label: String,
    operation: &'static str,
    /// User, host and path.
    source: Option<[String; 3]>,
    started: Instant,
    plan: TelemetryPlan,
    root_ca: Option<Vec<u8>>,
    memory_limit: Option<u64>,
}

/// How long each delivery of metrics and reports may take.
const DELIVERY: Duration = Duration::from_secs(10);
/// The same when the kubelet waits for the end.
const LAST_DELIVERY: Duration = Duration::from_secs(3);

impl Ending {
    /// Delivers metrics and reports. What does not arrive is said before the last lines, in words
    /// that push nothing out of the status of a destination.
    fn publish(&self, outcome: &Outcome, run: Option<(&Telemetry, CacheUse)>) {
        #[allow(clippy::disallowed_methods)] // as the lines of the log
        let ended = Timestamp::now();
        let elapsed = self.started.elapsed();
        let began = ended - jiff::SignedDuration::try_from(elapsed).unwrap_or_default();
        let telemetry = run.map(|(telemetry, _)| telemetry);
        let source = self.source.as_ref();
        let record = Record {
            operation: self.operation,
            source: source.map(|source| source.each_ref().map(String::as_str)),
            labels: &self.plan.labels,
            outcome,
            started: outcome.started.unwrap_or(began),
            ended,
            elapsed,
            opened: telemetry.and_then(Telemetry::opening),
            repository_bytes: telemetry.and_then(Telemetry::repository_bytes),
            calls: telemetry.map(|telemetry| telemetry.meter.read()).unwrap_or_default(),
            cache: run.map(|(_, cache)| cache),
            cache_counts: telemetry.map(Telemetry::cache_counts).unwrap_or_default(),
            peak_memory: peak_memory(),
            memory_limit: self.memory_limit,
        };
        let limit = if outcome.reason == Reason::Interrupted { LAST_DELIVERY } else { DELIVERY };
        let delivery = Delivery { root: &self.root, roots: self.root_ca.as_deref(), limit };
        for problem in publish(&self.plan, &record, delivery) {
            let problem = without_telling_words(&problem);
            if outcome.told {
                // The last block for the operator's parser is printed already.
                self.report.debug(problem);
            } else {
                self.report.warn(problem);
            }
        }
    }

    /// The error, if there is one, and the last block.
    fn tell(&self, outcome: &Outcome, maintenance: Option<MaintenanceSummary>) -> u8 {
        if outcome.exit_code != 0 && !outcome.told {
            self.report.error(&outcome.message);
        }
        if let Some(hint) = outcome.hint {
            self.report.info(format!("hint: {hint}"));
        }
        self.close(outcome, maintenance)
    }

    /// The last block and the kubelet's message; gives back the exit status.
    fn close(&self, outcome: &Outcome, maintenance: Option<MaintenanceSummary>) -> u8 {
        let summary = Summary { label: &self.label, outcome, maintenance };
        for line in summary.lines() {
            self.report.info(line);
        }
        let message = termination_message(
            self.operation,
            self.source
                .as_ref()
                .map(|[user, host, path]| format!("{user}@{host}:{path}"))
                .as_deref(),
            outcome,
            self.started.elapsed(),
        );
        self.leave(&self.root.resolve(TERMINATION_LOG), &self.report.masked(&message));
        outcome.exit_code
    }

    /// Writes where the kubelet reads; outside of a pod there is no such file.
    fn leave(&self, path: &Path, message: &str) {
        let file = std::fs::File::options().write(true).truncate(true).open(path);
        if let Ok(mut file) = file
            && let Err(error) = file.write_all(message.as_bytes())
        {
            self.report.debug(format!("{TERMINATION_LOG}: {error}"));
        }
    }
}
