//! kopia's command line on top of the kopist library
