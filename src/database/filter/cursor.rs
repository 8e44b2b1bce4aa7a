//! The tokens of a text, and how far they have been read.

use super::{
    FilterError,
    tokens::{Kind, Token, tokens},
};

pub(super) struct Cursor {
    tokens: Vec<Token>,
    next: usize,
}

impl Cursor {
    /// Stands before the first token of a text.
    ///
    /// # Errors
    /// [`FilterError::Syntax`] and [`FilterError::TooLarge`] when it cannot be cut into tokens.
    pub(super) fn new(text: &str) -> Result<Self, FilterError> {
        Ok(Self { tokens: tokens(text)?, next: 0 })
    }

    pub(super) fn at_keyword(&self, keyword: &str) -> bool {
        matches!(self.peek(), Kind::Word(word) if word.eq_ignore_ascii_case(keyword))
    }

    pub(super) fn take_keyword(&mut self, keyword: &str) -> bool {
        let there = self.at_keyword(keyword);
        if there {
            self.advance();
        }
        there
    }

    pub(super) fn take_symbol(&mut self, symbol: &str) -> bool {
        let there = matches!(self.peek(), Kind::Symbol(found) if *found == symbol);
        if there {
            self.advance();
        }
        there
    }

    pub(super) fn symbol(&mut self, symbol: &'static str) -> Result<(), FilterError> {
        if self.take_symbol(symbol) { Ok(()) } else { Err(self.expected(symbol)) }
    }

    /// The token that comes next.
    pub(super) fn peek(&self) -> &Kind {
        &self.tokens[self.next].kind
    }

    /// The token after it.
    pub(super) fn peek_second(&self) -> &Kind {
        &self.tokens[(self.next + 1).min(self.tokens.len() - 1)].kind
    }

    /// Goes on to the next token; the end stays the end.
    pub(super) fn advance(&mut self) {
        self.next = (self.next + 1).min(self.tokens.len() - 1);
    }

    pub(super) fn expected(&self, expected: &'static str) -> FilterError {
        let Token { at, kind } = &self.tokens[self.next];
        let found = match kind {
            Kind::Number(text) | Kind::Word(text) => text.clone(),
            Kind::Text(text) => format!("the string {text:?}"),
            Kind::Quoted(name) => format!("{name:?}"),
            Kind::Symbol(symbol) => (*symbol).to_owned(),
            Kind::End => "the end".to_owned(),
        };
        FilterError::Syntax { at: *at, expected, found: found.chars().take(80).collect() }
    }
}
