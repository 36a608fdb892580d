//! The stores behind one function: connect a storage configuration to a blob store
