//! The formulas in `t` that golden cases write where a peer takes a function.
//!
//! Python's operators and precedence, and `^` for powers:
//! `0.95^t`, `min(1,(t+1)/10)`, `0.5 if t%20==0 else 1`.

use std::sync::Arc;

/// A formula in `t`.
#[derive(Clone, Debug)]
pub(super) struct Formula {
    root: Arc<Node>,
}

#[derive(Debug)]
enum Node {
    Number(f64),
    T,
    Call(String, Vec<Node>),
    /// Condition, then, else.
    If(Box<[Node; 3]>),
}

impl Formula {
    /// The value at `t`; true is 1 and false 0.
    pub(super) fn at(&self, t: f64) -> f64 {
        self.root.at(t)
    }
}

impl Node {
    fn at(&self, t: f64) -> f64 {
        match self {
            Self::Number(value) => *value,
            Self::T => t,
            Self::If(parts) => {
                let [condition, yes, no] = &**parts;
                if condition.at(t) == 0.0 { no } else { yes }.at(t)
            }
            Self::Call(name, args) => {
                let value = |nth: usize| args[nth].at(t);
                let truth = f64::from;
                match (name.as_str(), args.len()) {
                    ("+", 2) => value(0) + value(1),
                    ("-", 2) => value(0) - value(1),
                    ("-", 1) => -value(0),
                    ("*", 2) => value(0) * value(1),
                    ("/", 2) => value(0) / value(1),
                    ("//", 2) => (value(0) / value(1)).floor(),
                    ("%", 2) => value(0).rem_euclid(value(1)),
                    ("^" | "pow", 2) => value(0).powf(value(1)),
                    ("==", 2) => truth(value(0) == value(1)),
                    ("!=", 2) => truth(value(0) != value(1)),
                    ("<", 2) => truth(value(0) < value(1)),
                    (">", 2) => truth(value(0) > value(1)),
                    ("<=", 2) => truth(value(0) <= value(1)),
                    (">=", 2) => truth(value(0) >= value(1)),
                    ("min", _) => args
                        .iter()
                        .map(|arg| arg.at(t))
                        .fold(f64::INFINITY, f64::min),
                    ("max", _) => {
                        let values = args.iter().map(|arg| arg.at(t));
                        values.fold(f64::NEG_INFINITY, f64::max)
                    }
                    ("cos", 1) => value(0).cos(),
                    ("sin", 1) => value(0).sin(),
                    ("exp", 1) => value(0).exp(),
                    ("log", 1) => value(0).ln(),
                    ("sqrt", 1) => value(0).sqrt(),
                    ("floor" | "int", 1) => value(0).floor(),
                    ("abs", 1) => value(0).abs(),
                    // The parser lets nothing else through.
                    _ => f64::NAN,
                }
            }
        }
    }
}

/// Parses a formula.
pub(super) fn parse(text: &str) -> Result<Formula, String> {
    let tokens = tokens(text.strip_prefix("lambda t:").unwrap_or(text))?;
    let mut parser = Parser { tokens, next: 0 };
    let root = parser.conditional()?;
    match parser.peek() {
        None => Ok(Formula {
            root: Arc::new(root),
        }),
        Some(token) => Err(format!("`{token}` is left over")),
    }
}

fn tokens(text: &str) -> Result<Vec<String>, String> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let digits = |c: char| c.is_ascii_digit() || c == '.';
        let end = if digits(first) {
            let mut end = rest.find(|c| !digits(c)).unwrap_or(rest.len());
            if rest[end..].starts_with(['e', 'E']) {
                let exponent = rest[end + 1..].trim_start_matches(['+', '-']);
                end = rest.len() - exponent.len();
                end += exponent
                    .find(|c: char| !c.is_ascii_digit())
                    .unwrap_or(exponent.len());
            }
            end
        } else if first.is_alphabetic() {
            let word = |c: char| c.is_alphanumeric() || c == '_' || c == '.';
            rest.find(|c| !word(c)).unwrap_or(rest.len())
        } else {
            let two = ["**", "//", "==", "!=", "<=", ">="];
            if two.iter().any(|op| rest.starts_with(op)) {
                2
            } else {
                first.len_utf8()
            }
        };
        tokens.push(rest[..end].trim_start_matches("math.").to_owned());
        rest = rest[end..].trim_start();
    }
    Ok(tokens)
}

struct Parser {
    tokens: Vec<String>,
    next: usize,
}

impl Parser {
    fn peek(&self) -> Option<&str> {
        self.tokens.get(self.next).map(String::as_str)
    }

    fn take(&mut self, token: &str) -> bool {
        let found = self.peek() == Some(token);
        self.next += usize::from(found);
        found
    }

    fn expect(&mut self, token: &str) -> Result<(), String> {
        if self.take(token) {
            Ok(())
        } else {
            Err(format!("expected `{token}`, found {:?}", self.peek()))
        }
    }

    fn conditional(&mut self) -> Result<Node, String> {
        let yes = self.binary(0)?;
        if !self.take("if") {
            return Ok(yes);
        }
        let condition = self.binary(0)?;
        self.expect("else")?;
        let no = self.conditional()?;
        Ok(Node::If(Box::new([condition, yes, no])))
    }

    fn binary(&mut self, level: usize) -> Result<Node, String> {
        const LEVELS: [&[&str]; 3] = [
            &["==", "!=", "<", ">", "<=", ">="],
            &["+", "-"],
            &["*", "/", "//", "%"],
        ];
        let Some(operators) = LEVELS.get(level) else {
            return self.unary();
        };
        let mut left = self.binary(level + 1)?;
        while let Some(operator) = self.peek().filter(|token| operators.contains(token)) {
            let operator = operator.to_owned();
            self.next += 1;
            let right = self.binary(level + 1)?;
            left = Node::Call(operator, vec![left, right]);
        }
        Ok(left)
    }

    fn unary(&mut self) -> Result<Node, String> {
        if self.take("-") {
            return Ok(Node::Call("-".into(), vec![self.unary()?]));
        }
        let base = self.atom()?;
        if self.take("^") || self.take("**") {
            let exponent = self.unary()?;
            return Ok(Node::Call("^".into(), vec![base, exponent]));
        }
        Ok(base)
    }

    fn atom(&mut self) -> Result<Node, String> {
        let token = self.peek().ok_or("the formula ends early")?.to_owned();
        self.next += 1;
        if token == "(" {
            let inner = self.conditional()?;
            self.expect(")")?;
            return Ok(inner);
        }
        if let Ok(number) = token.parse() {
            return Ok(Node::Number(number));
        }
        let functions = [
            ("pow", 2),
            ("cos", 1),
            ("sin", 1),
            ("exp", 1),
            ("log", 1),
            ("sqrt", 1),
            ("floor", 1),
            ("int", 1),
            ("abs", 1),
        ];
        match token.as_str() {
            "t" | "epoch" | "e" => Ok(Node::T),
            "pi" => Ok(Node::Number(std::f64::consts::PI)),
            name => {
                self.expect("(")?;
                let mut args = vec![self.conditional()?];
                while self.take(",") {
                    args.push(self.conditional()?);
                }
                self.expect(")")?;
                let known = functions.contains(&(name, args.len()));
                if known || name == "min" || name == "max" {
                    Ok(Node::Call(token, args))
                } else {
                    Err(format!("no function `{name}` of {} arguments", args.len()))
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn python_formulas_mean_what_they_mean_in_python() {
        let at = |text: &str, t: f64| parse(text).unwrap().at(t);
        assert_eq!(at("0.5^t", 2.0), 0.25);
        assert_eq!(at("min(1,(t+1)/10)", 4.0), 0.5);
        assert_eq!(at("0.5 if t%20==0 else 1", 40.0), 0.5);
        assert_eq!(at("0.5 if t%20==0 else 1", 41.0), 1.0);
        assert_eq!(at("-2**2 + t//30 * 1e-1", 65.0), -3.8);
        assert_eq!(at("max(0.1, 1 - t/10, 0)", 20.0), 0.1);
        assert_eq!(at("lambda t: math.sqrt(t)", 9.0), 3.0);
    }

    #[test]
    fn what_is_no_formula_is_refused() {
        for text in ["", "t +", "f(t)", "(t", "t t", "$"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
