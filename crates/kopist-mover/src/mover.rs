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
use crate::plan::{MoverPlan, Operation, Refusal, plan};
use crate::probe::{HostProbe, Probe};
use crate::report::{
    Level, MaintenanceSummary, Mask, Outcome, Reason, Report, Summary, environment_status,
    forward_events, log_configuration, termination_message,
};
use crate::root::ContainerRoot;
use crate::run::{Context, Finished, INTERRUPTED, Stop, cache_use, listen, run};

/// The kubelet reads the end of the story here.
const TERMINATION_LOG: &str = "/dev/termination-log";
/// Removing this file ends a pod that only waits.
const DEBUG_FILE: &str = "/tmp/exit-debug-if-removed";

const USAGE: &str = "\
usage: kopist mover [--plan] backup|restore
       DIRECTION=source|destination|maintenance kopist mover [--plan]

The container program of the VolSync Kopia mover. Everything else comes from the
environment; see docs/mover.md.

  --plan      print what would be done, and do nothing
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
            Err(refusal) => return self.refuse(report, &refusal, started),
        };
        report.use_json(plan.log_json);
        for notice in &plan.notices {
            report.warn(&notice.0);
        }
        if !plan.argument_names.is_empty() {
            report.info(format!("additional arguments: {}", plan.argument_names.join(" ")));
        }
        let ending = Arc::new(Ending {
            report: Arc::clone(report),
            root: self.root.clone(),
            label: plan.label.clone(),
            operation: plan.operation().name(),
            source: (plan.operation() != Operation::Maintenance).then(|| plan.source()),
            started,
        });
        let context = Context {
            env: self.env,
            root: self.root,
            report: Arc::clone(report),
            stop: Stop::default(),
            clock: Arc::new(SystemClock),
        };
        let finished = Finished::default();
        listen_for_signals(&context, &finished, &ending, &plan);
        report.line("=== Starting kopia operations ===");
        report.debug(plan.show());
        let outcome = run(&plan, &context);
        finished.announce();
        let maintenance =
            (plan.operation() == Operation::Maintenance).then(|| MaintenanceSummary {
                seconds: started.elapsed().as_secs(),
                cache: cache_use(&plan, &context),
            });
        ending.tell(&outcome, maintenance)
    }

    fn refuse(self, report: &Arc<Report>, refusal: &Refusal, started: Instant) -> u8 {
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
            source: None,
            started,
        };
        ending.close(&outcome, None)
    }
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
            let outcome = Outcome::failed(Reason::Interrupted, why).exit(INTERRUPTED);
            let seconds = ending.started.elapsed().as_secs();
            let summary = maintenance.then_some(MaintenanceSummary { seconds, cache });
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
    source: Option<String>,
    started: Instant,
}

impl Ending {
    /// The error, if there is one, and the last block.
    fn tell(&self, outcome: &Outcome, maintenance: Option<MaintenanceSummary>) -> u8 {
        if outcome.exit_code != 0 && !outcome.told {
            self.report.error(&outcome.message);
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
            self.source.as_deref(),
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
