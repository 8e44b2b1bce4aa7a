//! Has OpenDroneMap stitch in place of polder's own engine: drives a NodeODM or ClusterODM server over HTTP.
//!
//! The story, a module a sentence. [`address`] keeps the server's URL and the secret apart, [`http`] makes calls that
//! outlive a bad link, [`node`] knows the protocol, [`choices`] turns flags into ODM's options, [`shipment`] says what is
//! uploaded and under which names, [`kept`] remembers the task while it is on the server, [`task`] brings it there and
//! waits, [`archive`] opens what comes back. [`regrid`] makes of it the orthophoto that was asked for, [`agreement`] holds
//! it against GPS, [`report`] says how good it is.
//!
//! Three promises. A stitch that was killed finds its task again and uploads nothing twice that the server has confirmed.
//! The token stands in no error and no log. And the result is looked at: an orthophoto that lies elsewhere than its
//! photos says "do not use".

mod address;
mod agreement;
mod archive;
mod choices;
mod error;
mod http;
mod kept;
mod node;
mod regrid;
mod report;
mod shipment;
mod stitch;
mod task;

pub use address::Token;
pub use error::{Error, Result};
pub use report::Report;
pub use stitch::{Options, Server, Settings, stitch};
