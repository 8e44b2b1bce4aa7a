//! What is wrong with a JSON text, all of it, place by place.
//!
//! A check walks a document and hands each place down ([`Place`]); it becomes a JSON pointer only where something is
//! wrong, so that a document without faults costs nothing here.

use std::fmt;

use serde::Serialize;

use super::Error;

/// Faults that are kept. Whoever mends a hundred asks again anyway.
const MOST: usize = 100;

/// One thing that is wrong, and where.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// JSON pointer (RFC 6901); empty is the whole document.
    pub pointer: String,
    /// What must be otherwise, as `must be a string`.
    pub problem: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.pointer.as_str() {
            "" => f.write_str(&self.problem),
            pointer => write!(f, "{pointer} {}", self.problem),
        }
    }
}

/// Writes faults in one line.
pub(super) fn listed(faults: &[Fault]) -> String {
    let lines: Vec<String> = faults.iter().map(Fault::to_string).collect();
    lines.join("; ")
}

/// Where a check stands in a document.
#[derive(Clone, Copy)]
pub(super) enum Place<'a> {
    Root,
    Member(&'a Place<'a>, &'a str),
    Element(&'a Place<'a>, usize),
}

impl<'a> Place<'a> {
    pub const fn member(&'a self, name: &'a str) -> Self {
        Self::Member(self, name)
    }

    pub const fn element(&'a self, index: usize) -> Self {
        Self::Element(self, index)
    }

    /// Writes the place as a JSON pointer. A U+0000 in a name is shown as its escape: no text can hold it.
    pub fn pointer(&self) -> String {
        match self {
            Self::Root => String::new(),
            Self::Member(parent, name) => {
                let shown = name.replace('~', "~0").replace('/', "~1").replace('\0', "\\u0000");
                format!("{}/{shown}", parent.pointer())
            }
            Self::Element(parent, index) => format!("{}/{index}", parent.pointer()),
        }
    }
}

/// The faults found so far.
#[derive(Debug, Default)]
pub(super) struct Faults(Vec<Fault>);

impl Faults {
    pub fn add(&mut self, at: &Place, problem: impl Into<String>) {
        if !self.is_full() {
            self.0.push(Fault { pointer: at.pointer(), problem: problem.into() });
        }
    }

    /// Adds a fault unless all is fine there.
    pub fn expect(&mut self, fine: bool, at: &Place, problem: &str) {
        if !fine {
            self.add(at, problem);
        }
    }

    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether no more are kept, so that looking on is in vain.
    pub const fn is_full(&self) -> bool {
        self.0.len() >= MOST
    }

    /// Returns the first one.
    pub fn into_first(self) -> Option<Fault> {
        self.0.into_iter().next()
    }

    /// # Errors
    /// [`Error::Faults`] when there is one.
    pub fn into_result(self) -> Result<(), Error> {
        if self.is_empty() { Ok(()) } else { Err(self.into()) }
    }
}

impl From<Faults> for Error {
    fn from(faults: Faults) -> Self {
        Self::Faults(faults.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_written_as_a_json_pointer() {
        let root = Place::Root;
        let assets = root.member("assets");
        let asset = assets.member("a/b~c");
        assert_eq!(asset.element(3).pointer(), "/assets/a~1b~0c/3");
        assert_eq!(root.pointer(), "");
    }

    #[test]
    fn a_hundred_faults_are_enough() {
        let mut faults = Faults::default();
        for i in 0..1000 {
            faults.add(&Place::Root.element(i), "must not be");
        }
        let Err(Error::Faults(kept)) = faults.into_result() else { panic!("there are faults") };
        assert_eq!((kept.len(), listed(&kept[..2]).as_str()), (MOST, "/0 must not be; /1 must not be"));
    }
}
