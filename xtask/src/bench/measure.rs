//! What a command costs: time, processor time, peak memory.
//!
//! The peak of a child's memory is known to the parent only as the largest of all its children,
//! so each command gets a parent of its own: this program again, under the name [`MEASURE`].

use std::process::Command;
use std::time::Instant;

use kopist_testkit::oracle::Client;
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;
use serde::{Deserialize, Serialize};

use crate::step::{self, Result};

/// The hidden chore that runs one command and prints its cost.
pub(crate) const MEASURE: &str = "measure-child";

/// What one run cost.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Cost {
    /// Seconds on the clock.
    pub(crate) wall: f64,
    /// Seconds of processor time, user and system.
    pub(crate) cpu: f64,
    /// Largest resident set in MiB.
    pub(crate) memory: f64,
}

impl Cost {
    /// The median of each figure by itself.
    pub(crate) fn median(costs: &[Cost]) -> Cost {
        let middle = |figure: fn(&Cost) -> f64| {
            let mut figures: Vec<f64> = costs.iter().map(figure).collect();
            figures.sort_by(f64::total_cmp);
            figures[figures.len() / 2]
        };
        Cost { wall: middle(|c| c.wall), cpu: middle(|c| c.cpu), memory: middle(|c| c.memory) }
    }

    /// Wall, CPU, memory.
    pub(crate) fn show(&self) -> String {
        format!("{:.2} s, {:.2} s CPU, {:.0} MiB", self.wall, self.cpu, self.memory)
    }
}

/// Runs a client's command and returns what it cost.
pub(crate) fn measure(client: &Client, arguments: &[&str]) -> Result<Cost> {
    let command = client.command(arguments);
    let mut parent = Command::new(std::env::current_exe()?);
    parent.arg(MEASURE).arg(command.get_program()).args(command.get_args()).env_clear();
    for (name, value) in command.get_envs() {
        if let Some(value) = value {
            parent.env(name, value);
        }
    }
    let output = parent.output()?;
    let text = String::from_utf8(output.stdout)?;
    let last = text.lines().last().unwrap_or_default();
    if !output.status.success() {
        return Err(format!("{arguments:?}: {}", String::from_utf8_lossy(&output.stderr)).into());
    }
    Ok(serde_json::from_str(last)?)
}

/// The chore [`MEASURE`]: runs the command, then prints its cost as the last line.
pub(crate) fn measure_child(arguments: &[String]) -> Result {
    let (program, arguments) = arguments.split_first().ok_or("a command is needed")?;
    let start = Instant::now();
    step::succeed(Command::new(program).args(arguments))?;
    let wall = start.elapsed().as_secs_f64();
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    let seconds = |time: nix::sys::time::TimeVal| time.num_microseconds() as f64 / 1e6;
    let cpu = seconds(usage.user_time()) + seconds(usage.system_time());
    let cost = Cost { wall, cpu, memory: usage.max_rss() as f64 / 1024.0 };
    println!("\n{}", serde_json::to_string(&cost)?);
    Ok(())
}
