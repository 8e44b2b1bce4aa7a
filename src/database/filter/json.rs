//! Reads CQL2 JSON (OGC 21-065r2, Annex C).
//!
//! Every object is one of six forms and may hold nothing else: a member that we do not know might be what its author
//! meant most.

use serde_json::{Map, Value};

use super::{FilterError, budget::Budget, expression::Expr, geometry::Geometry, instant, operator::Operator};

const FORM: &str = "an object with op and args, or with property, date, timestamp, interval or bbox, or a geometry";

/// Reads a filter. Its operands are not yet checked to be of the right types.
///
/// # Errors
/// Any [`FilterError`] but those of types.
pub(super) fn read(value: &Value) -> Result<Expr, FilterError> {
    Reader { budget: Budget::default(), pointer: String::new() }.expression(value)
}

struct Reader {
    budget: Budget,
    /// Where we are, as a JSON pointer.
    pointer: String,
}

impl Reader {
    fn expression(&mut self, value: &Value) -> Result<Expr, FilterError> {
        self.budget.node()?;
        match value {
            Value::Bool(value) => Ok(Expr::Bool(*value)),
            // A finite double or a whole number of 64 bits: serde_json makes no others.
            Value::Number(number) if number.as_f64().is_some_and(f64::is_finite) => Ok(Expr::Number(number.clone())),
            Value::String(text) => self.text(text).map(Expr::Text),
            Value::Array(values) => self.all(values).map(Expr::Array),
            Value::Object(members) => self.object(members),
            Value::Null | Value::Number(_) => Err(self.expected("an expression", value)),
        }
    }

    fn object(&mut self, members: &Map<String, Value>) -> Result<Expr, FilterError> {
        let mut names: Vec<&str> = members.keys().map(String::as_str).collect();
        names.sort_unstable();
        match names[..] {
            ["args", "op"] => self.operation(&members["op"], &members["args"]),
            ["property"] => self.string(members, "property").map(Expr::Property),
            ["date"] => instant::date(self.string(members, "date")?),
            ["timestamp"] => instant::timestamp(self.string(members, "timestamp")?),
            ["interval"] => instant::interval(self.list(members, "interval")?),
            ["bbox"] => {
                let numbers: Option<Vec<f64>> =
                    members["bbox"].as_array().and_then(|numbers| numbers.iter().map(Value::as_f64).collect());
                let numbers = numbers.ok_or_else(|| self.expected("an array of numbers", &members["bbox"]))?;
                Geometry::bbox(&numbers).map(Expr::Geometry)
            }
            ["coordinates" | "geometries", "type"] | ["bbox", "coordinates" | "geometries", "type"] => {
                self.geometry(members)
            }
            _ => Err(self.expected(FORM, &Value::Object(members.clone()))),
        }
    }

    fn operation(&mut self, op: &Value, args: &Value) -> Result<Expr, FilterError> {
        let Value::String(name) = op else { return Err(self.expected("the name of an operator", op)) };
        let operator = Operator::named(name).ok_or_else(|| FilterError::UnknownFunction(name.clone()))?;
        let Value::Array(args) = args else { return Err(self.expected("an array of arguments", args)) };
        if matches!(operator, Operator::Arithmetic(_)) {
            self.budget.arithmetic()?;
        }
        let length = self.pointer.len();
        self.pointer.push_str("/args");
        let mut arguments = self.all(args)?;
        self.pointer.truncate(length);
        // Drafts of CQL2 had both ends in a list of their own, and stac-api-validator still writes it so.
        if let (Operator::Between, [_, Expr::Array(ends)]) = (&operator, &mut arguments[..])
            && ends.len() == 2
        {
            let ends = std::mem::take(ends);
            arguments.truncate(1);
            arguments.extend(ends);
        }
        Expr::operation(operator, arguments)
    }

    fn all(&mut self, values: &[Value]) -> Result<Vec<Expr>, FilterError> {
        self.budget.enter()?;
        let length = self.pointer.len();
        let mut all = Vec::with_capacity(values.len());
        for (i, value) in values.iter().enumerate() {
            self.pointer.push('/');
            self.pointer.push_str(&i.to_string());
            all.push(self.expression(value)?);
            self.pointer.truncate(length);
        }
        self.budget.leave();
        Ok(all)
    }

    /// A geometry without its bbox, which says nothing that the coordinates do not.
    fn geometry(&mut self, members: &Map<String, Value>) -> Result<Expr, FilterError> {
        let nested = |member: &Value| member.get("type").is_some_and(|kind| kind == "GeometryCollection");
        if members.get("geometries").and_then(Value::as_array).is_some_and(|all| all.iter().any(nested)) {
            return Err(self.expected("geometries that are no collections", &members["geometries"]));
        }
        let mut members = members.clone();
        members.shift_remove("bbox");
        Geometry::checked(Value::Object(members)).map(Expr::Geometry)
    }

    fn list(&mut self, members: &Map<String, Value>, name: &str) -> Result<Vec<Expr>, FilterError> {
        match &members[name] {
            Value::Array(values) => self.all(values),
            other => Err(self.expected("an array", other)),
        }
    }

    fn string(&self, members: &Map<String, Value>, name: &str) -> Result<String, FilterError> {
        match &members[name] {
            Value::String(text) => self.text(text),
            other => Err(self.expected("a string", other)),
        }
    }

    fn text(&self, text: &str) -> Result<String, FilterError> {
        if text.contains('\0') {
            return Err(self.expected("a string without U+0000", &Value::from(text)));
        }
        Ok(text.to_owned())
    }

    fn expected(&self, expected: &'static str, found: &Value) -> FilterError {
        let found = found.to_string().chars().take(80).collect();
        FilterError::Json { pointer: self.pointer.clone(), expected, found }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_member_that_is_not_known_is_refused() {
        let a = json!({"property": "a"});
        for wrong in [
            json!({}),
            json!(null),
            json!({"op": "="}),
            json!({"op": "foo", "args": []}),
            json!({"op": "=", "args": [a, 1], "x": 1}),
            json!({"op": "=", "args": [{"property": "a", "op": "x"}, 1]}),
            json!({"op": "=", "args": [{"foo": 1}, 1]}),
            json!({"op": "=", "args": [a, {"date": "2025-06-23", "timestamp": "2025-06-23T10:00:00Z"}]}),
            json!({"op": "=", "args": [a, null]}),
            json!({"op": "=", "args": {"0": a}}),
            json!({"op": 1, "args": [a, 1]}),
            json!({"op": "=", "args": [a]}),
            json!({"op": "=", "args": [{"property": 1}, 1]}),
            json!({"op": "=", "args": [a, "\0"]}),
            json!({"op": "s_intersects", "args": [{"property": "geometry"}, {"bbox": ["1", 2, 3, 4]}]}),
            json!({"op": "s_intersects", "args": [{"property": "geometry"}, {"type": "Point"}]}),
            json!({"op": "s_intersects", "args": [
                {"property": "geometry"}, {"type": "Point", "coordinates": [1, 2], "date": "2025-06-23"},
            ]}),
        ] {
            assert!(read(&wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_error_points_at_its_place() {
        let wrong = json!({"op": "and", "args": [true, {"op": "in", "args": [{"property": "a"}, [1, {"x": 1}]]}]});
        let error = read(&wrong).unwrap_err();
        assert!(matches!(&error, FilterError::Json { pointer, .. } if pointer == "/args/1/args/1/1"), "{error}");
    }

    #[test]
    fn what_nests_too_deep_or_is_too_large_is_refused() {
        let mut deep = json!(true);
        for _ in 0..200 {
            deep = json!({"op": "not", "args": [deep]});
        }
        assert!(matches!(read(&deep), Err(FilterError::TooLarge { .. })));
        let many = Value::Array(vec![json!(1); 20_000]);
        let many = json!({"op": "in", "args": [{"property": "a"}, many]});
        assert!(matches!(read(&many), Err(FilterError::TooLarge { .. })));
    }
}
