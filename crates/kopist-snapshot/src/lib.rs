//! Snapshots on a Kopia repository: what people mean by a backup.
//!
//! - [`source`]: who backs up what; [`policy`]: how; [`ignore`]: what is left out;
//!   [`retention`]: what is kept. All four are pure.

pub mod ignore;
pub mod policy;
pub mod retention;
pub mod source;

pub use source::SourceInfo;
