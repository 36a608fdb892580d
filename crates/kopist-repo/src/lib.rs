//! An open Kopia repository: contents, packs, indexes, epochs, objects, manifests, caches, sessions
