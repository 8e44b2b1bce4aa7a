//! How large a filter may be, so that none overflows a stack, a statement's parameters or our patience.

use super::FilterError;

/// Longest text, in bytes: a polygon of thirty thousand vertices fits.
pub(super) const TEXT: usize = 512 * 1024;

/// Deepest nesting of parentheses, functions and `not`. Both readers recurse, and so does PostgreSQL's parser.
const DEPTH: usize = 100;

/// Most names, literals and operations. Each binds fewer than four parameters on average; a statement takes 65 535.
const NODES: usize = 10_000;

/// Most arithmetic operators. `polder_number` takes numbers of 400 digits, and the product of this many has fewer than
/// the 131 072 of PostgreSQL's largest number: no arithmetic overflows. A sum of as many nests less deep than allowed.
const ARITHMETIC: usize = 90;

/// What a reader has used so far.
#[derive(Debug, Default)]
pub(super) struct Budget {
    depth: usize,
    nodes: usize,
    arithmetic: usize,
}

impl Budget {
    pub(super) fn node(&mut self) -> Result<(), FilterError> {
        spend(&mut self.nodes, NODES, "names, literals and operations")
    }

    pub(super) fn arithmetic(&mut self) -> Result<(), FilterError> {
        spend(&mut self.arithmetic, ARITHMETIC, "arithmetic operators")
    }

    /// Goes one level down; [`Budget::leave`] comes back up.
    pub(super) fn enter(&mut self) -> Result<(), FilterError> {
        spend(&mut self.depth, DEPTH, "levels of nesting")
    }

    pub(super) fn leave(&mut self) {
        self.depth -= 1;
    }
}

fn spend(used: &mut usize, limit: usize, what: &'static str) -> Result<(), FilterError> {
    *used += 1;
    if *used > limit { Err(FilterError::TooLarge { what, limit }) } else { Ok(()) }
}
