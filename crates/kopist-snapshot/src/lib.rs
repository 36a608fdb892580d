//! Snapshots on a Kopia repository: policies, ignore rules, the uploader, restore, verify, retention
