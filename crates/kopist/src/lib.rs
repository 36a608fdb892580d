//! A backup engine that reads and writes the Kopia repository format natively
