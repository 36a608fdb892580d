//! The container contract of the VolSync Kopia mover: environment to plan to run
