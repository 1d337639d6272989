//! What `run` sends: the program with the files that it imports, its values, and where all of it comes from. Nothing here evaluates a
//! workflow; files are read, not understood.

pub(crate) mod adhoc;
pub(crate) mod bundle;
pub(crate) mod path;
pub(crate) mod request;
pub(crate) mod scan;
pub(crate) mod source;
pub(crate) mod values;
pub(crate) mod worker;
