//! kopist and kopia over one repository.
//!
//! Both programs take the same command lines, so each test drives them as two clients of one
//! repository and lets either judge what the other did. Without kopia (`KOPIA_EXE`, or `kopia` on
//! `PATH`) these tests print a line that begins with `skipped:`; those that need no judge run
//! anyway.
//!
//! - [`writes`]: kopia verifies, maintains and restores what kopist wrote, in every format;
//! - [`reads`]: kopist verifies and restores what kopia wrote, also after its maintenance;
//! - [`upgrades`]: upgrades of old formats, begun, finished and taken back by either;
//! - [`turns`]: fifty random steps in turns, after each of which both list the same snapshots;
//! - [`dedup`]: what one has stored, the other does not store again;
//! - [`actions`]: both run the same commands around a snapshot;
//! - [`bad_input`]: wrong passwords, other formats, full disks, odd names, damaged blobs;
//! - [`commands`]: the same command lines end alike, print the same and leave the same behind;
//! - [`archives`], [`shallow`]: both restore to the same archives and placeholders, and each
//!   expands and backs up the other's placeholders;
//! - [`rewritten`]: both compare, repair, rename and migrate snapshots alike;
//! - [`restores`]: random trees, restored by both over whatever is there, with random flags;
//! - [`policies`], [`trees`], [`histories`]: random ones, which both resolve, store and thin out
//!   alike;
//! - [`live`]: after random histories both keep the same contents and throw away the same;
//! - [`verified`]: both find the same damage; [`logged`]: both tell the same about each file;
//! - [`moments`]: both mean the same snapshot by a time;
//! - [`hostile`]: repositories prepared so that a restore writes where it should not;
//! - [`keyring`]: passwords in the keyring of a desktop;
//! - [`kill`]: `kill -9` in the middle of a backup;
//! - [`one_connection`]: both share a configuration and a cache directory;
//! - [`mounts`]: a mounted snapshot is what a restore of it would be;
//! - [`maintenance`]: one repository, maintained by both for weeks;
//! - [`stores`]: all of it on every other kind of storage;
//! - [`identities`]: roles, tokens and machines instead of keys;
//! - [`bad_network`]: while the network and the server misbehave.

#![allow(clippy::unwrap_used, clippy::expect_used)] // a failed precondition is a failed test

mod actions;
mod archives;
mod bad_input;
mod bad_network;
mod commands;
mod dedup;
mod histories;
mod hostile;
mod identities;
mod keyring;
mod kill;
mod live;
mod logged;
mod maintenance;
mod moments;
mod mounts;
mod one_connection;
mod pair;
mod place;
mod policies;
#[path = "../program.rs"]
mod program;
mod reads;
mod restores;
mod rewritten;
mod shallow;
mod stores;
mod trees;
mod turns;
mod upgrades;
mod verified;
mod writes;
