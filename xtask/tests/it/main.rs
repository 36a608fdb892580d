//! What is true of the project as a whole, and would rot if nobody looked.

#![allow(clippy::unwrap_used)] // a failed precondition of a test is a failed test

mod arrows;
mod coverage;
mod files;
mod pages;
