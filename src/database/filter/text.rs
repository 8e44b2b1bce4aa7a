//! Reads CQL2 text (OGC 21-065r2, Annex B) by recursive descent.
//!
//! One token of look-ahead decides everything, so that a text is read once, in linear time, whatever stands in it.
//! From loose to tight: OR, AND, NOT, comparisons, `+ -`, `* / % div`, `^`, a sign.

use serde_json::Number;

use super::{
    FilterError,
    budget::Budget,
    cursor::Cursor,
    expression::Expr,
    geometry::Geometry,
    instant,
    operator::{Arithmetic, Comparator, Operator},
    tokens::Kind,
    wkt,
};

/// Names that are no property unless they stand in double quotes.
const KEYWORDS: [&str; 9] = ["and", "or", "not", "is", "null", "in", "like", "between", "div"];

/// Reads a filter. Its operands are not yet checked to be of the right types.
///
/// # Errors
/// Any [`FilterError`] but those of types.
pub(super) fn read(text: &str) -> Result<Expr, FilterError> {
    let mut reader = Reader { cursor: Cursor::new(text)?, budget: Budget::default() };
    let expr = reader.expression()?;
    match reader.cursor.peek() {
        Kind::End => Ok(expr),
        _ => Err(reader.cursor.expected("an operator or the end")),
    }
}

struct Reader {
    cursor: Cursor,
    budget: Budget,
}

impl Reader {
    fn expression(&mut self) -> Result<Expr, FilterError> {
        self.budget.enter()?;
        let expr = self.junction(Operator::Or, |reader| reader.junction(Operator::And, Self::negation));
        self.budget.leave();
        expr
    }

    fn junction(
        &mut self,
        operator: Operator,
        part: impl Fn(&mut Self) -> Result<Expr, FilterError>,
    ) -> Result<Expr, FilterError> {
        let first = part(self)?;
        if !self.cursor.at_keyword(operator.name()) {
            return Ok(first);
        }
        let mut arguments = vec![first];
        while self.cursor.take_keyword(operator.name()) {
            arguments.push(part(self)?);
        }
        self.operation(operator, arguments)
    }

    fn negation(&mut self) -> Result<Expr, FilterError> {
        if !self.cursor.take_keyword("not") {
            return self.comparison();
        }
        self.budget.enter()?;
        let negated = self.negation()?;
        self.budget.leave();
        self.operation(Operator::Not, vec![negated])
    }

    fn comparison(&mut self) -> Result<Expr, FilterError> {
        let left = self.sum()?;
        if let Some(comparator) = self.take_comparator() {
            let right = self.sum()?;
            return self.operation(Operator::Compare(comparator), vec![left, right]);
        }
        if self.cursor.take_keyword("is") {
            let not = self.cursor.take_keyword("not");
            if !self.cursor.take_keyword("null") {
                return Err(self.cursor.expected("NULL"));
            }
            return self.predicate(not, Operator::IsNull, vec![left]);
        }
        let not = self.cursor.take_keyword("not");
        if self.cursor.take_keyword("like") {
            let pattern = self.sum()?;
            self.predicate(not, Operator::Like, vec![left, pattern])
        } else if self.cursor.take_keyword("between") {
            let low = self.sum()?;
            if !self.cursor.take_keyword("and") {
                return Err(self.cursor.expected("AND"));
            }
            let high = self.sum()?;
            self.predicate(not, Operator::Between, vec![left, low, high])
        } else if self.cursor.take_keyword("in") {
            self.cursor.symbol("(")?;
            let list = Expr::Array(self.list()?);
            self.predicate(not, Operator::In, vec![left, list])
        } else if not {
            Err(self.cursor.expected("LIKE, BETWEEN or IN"))
        } else {
            Ok(left)
        }
    }

    fn sum(&mut self) -> Result<Expr, FilterError> {
        let operators = [("+", Arithmetic::Add), ("-", Arithmetic::Subtract)];
        self.arithmetic(&operators, |reader| {
            let operators = [
                ("*", Arithmetic::Multiply),
                ("/", Arithmetic::Divide),
                ("%", Arithmetic::Modulo),
                ("div", Arithmetic::IntegerDivide),
            ];
            reader.arithmetic(&operators, |reader| reader.arithmetic(&[("^", Arithmetic::Power)], Self::factor))
        })
    }

    fn arithmetic(
        &mut self,
        operators: &[(&str, Arithmetic)],
        part: impl Fn(&mut Self) -> Result<Expr, FilterError>,
    ) -> Result<Expr, FilterError> {
        let mut left = part(self)?;
        while let Some((_, operator)) =
            operators.iter().find(|(name, _)| self.cursor.take_symbol(name) || self.cursor.take_keyword(name))
        {
            self.budget.arithmetic()?;
            let right = part(self)?;
            left = self.operation(Operator::Arithmetic(*operator), vec![left, right])?;
        }
        Ok(left)
    }

    /// An operand, perhaps with a sign: a number takes it, anything else is multiplied by -1.
    fn factor(&mut self) -> Result<Expr, FilterError> {
        if !self.cursor.take_symbol("-") {
            self.cursor.take_symbol("+");
            return self.operand();
        }
        if let Kind::Number(digits) = self.cursor.peek() {
            let number = number(&format!("-{digits}"))?;
            self.cursor.advance();
            self.budget.node()?;
            return Ok(Expr::Number(number));
        }
        self.budget.arithmetic()?;
        let operand = self.operand()?;
        let minus_one = Expr::Number(Number::from(-1));
        self.operation(Operator::Arithmetic(Arithmetic::Multiply), vec![minus_one, operand])
    }

    fn operand(&mut self) -> Result<Expr, FilterError> {
        self.budget.node()?;
        let token = self.cursor.peek().clone();
        match token {
            Kind::Number(digits) => {
                let number = number(&digits)?;
                self.cursor.advance();
                Ok(Expr::Number(number))
            }
            Kind::Text(text) => {
                self.cursor.advance();
                Ok(Expr::Text(text))
            }
            Kind::Quoted(name) => {
                self.cursor.advance();
                Ok(Expr::Property(name))
            }
            Kind::Word(word) => self.word(word),
            Kind::Symbol("(") => {
                self.cursor.advance();
                let mut list = self.list()?;
                Ok(if list.len() == 1 { list.remove(0) } else { Expr::Array(list) })
            }
            _ => Err(self.cursor.expected("a property, a literal or a function")),
        }
    }

    fn word(&mut self, word: String) -> Result<Expr, FilterError> {
        if KEYWORDS.iter().any(|keyword| keyword.eq_ignore_ascii_case(&word)) {
            return Err(self.cursor.expected("a property (in double quotes if it is named like a keyword)"));
        }
        self.cursor.advance();
        if let Some(json) = wkt::read(&mut self.cursor, &word)? {
            return Geometry::checked(json).map(Expr::Geometry);
        }
        if self.cursor.take_symbol("(") {
            return self.function(word);
        }
        Ok(match word.to_ascii_lowercase().as_str() {
            "true" => Expr::Bool(true),
            "false" => Expr::Bool(false),
            _ => Expr::Property(word),
        })
    }

    fn function(&mut self, name: String) -> Result<Expr, FilterError> {
        let arguments = self.list()?;
        match name.to_ascii_lowercase().as_str() {
            "date" => instant::date(one_text("DATE", arguments)?),
            "timestamp" => instant::timestamp(one_text("TIMESTAMP", arguments)?),
            "interval" => instant::interval(arguments),
            "bbox" => Geometry::bbox(&numbers(arguments)?).map(Expr::Geometry),
            _ => match Operator::named(&name).filter(|operator| operator.is_function()) {
                Some(operator) => self.operation(operator, arguments),
                None => Err(FilterError::UnknownFunction(name)),
            },
        }
    }

    /// Expressions with commas between them, up to a parenthesis that closes; its sister has been read.
    fn list(&mut self) -> Result<Vec<Expr>, FilterError> {
        let mut list = Vec::new();
        if self.cursor.take_symbol(")") {
            return Ok(list);
        }
        loop {
            list.push(self.expression()?);
            if self.cursor.take_symbol(")") {
                return Ok(list);
            }
            if !self.cursor.take_symbol(",") {
                return Err(self.cursor.expected("an operator, a comma or a closing parenthesis"));
            }
        }
    }

    fn operation(&mut self, operator: Operator, arguments: Vec<Expr>) -> Result<Expr, FilterError> {
        self.budget.node()?;
        Expr::operation(operator, arguments)
    }

    fn predicate(&mut self, not: bool, operator: Operator, arguments: Vec<Expr>) -> Result<Expr, FilterError> {
        let predicate = self.operation(operator, arguments)?;
        if not { self.operation(Operator::Not, vec![predicate]) } else { Ok(predicate) }
    }

    fn take_comparator(&mut self) -> Option<Comparator> {
        let Kind::Symbol(symbol) = self.cursor.peek() else { return None };
        let Some(Operator::Compare(comparator)) = Operator::named(symbol) else { return None };
        self.cursor.advance();
        Some(comparator)
    }
}

/// Reads a number: a whole one exactly as far as 64 bits reach, any other as a double.
pub(super) fn number(digits: &str) -> Result<Number, FilterError> {
    if let Ok(whole) = digits.parse::<i64>() {
        return Ok(whole.into());
    }
    if let Ok(whole) = digits.parse::<u64>() {
        return Ok(whole.into());
    }
    let number = digits.parse().ok().and_then(Number::from_f64);
    number.ok_or_else(|| FilterError::literal("number", digits, "it is too large"))
}

fn one_text(function: &'static str, mut arguments: Vec<Expr>) -> Result<String, FilterError> {
    match arguments.pop() {
        Some(Expr::Text(text)) if arguments.is_empty() => Ok(text),
        Some(other) if arguments.is_empty() => Err(FilterError::operand(function, "a string", other.described())),
        last => {
            let found = arguments.len() + usize::from(last.is_some());
            Err(FilterError::Arguments { function, expected: "1 argument".to_owned(), found })
        }
    }
}

fn numbers(arguments: Vec<Expr>) -> Result<Vec<f64>, FilterError> {
    let number = |argument| match argument {
        Expr::Number(number) => Ok(number.as_f64().unwrap_or(f64::NAN)),
        other => Err(FilterError::operand("BBOX", "numbers", other.described())),
    };
    arguments.into_iter().map(number).collect()
}
