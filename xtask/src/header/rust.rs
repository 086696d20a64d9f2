//! Reading the few forms that the sources of the ABI keep to.

/// What has a counterpart in C.
#[derive(Debug, PartialEq)]
pub(crate) enum Item {
    /// `#[repr(C)] pub struct`.
    Struct {
        doc: String,
        name: String,
        fields: Vec<Field>,
    },
    /// `#[repr(transparent)] pub struct Name(pub u32)`.
    Number {
        doc: String,
        name: String,
        inner: String,
    },
    /// `pub type Name = unsafe extern "C" fn(…) -> …`.
    Function {
        doc: String,
        name: String,
        signature: Signature,
    },
    /// `pub const NAME: Type = value`, in an `impl` or outside.
    Constant {
        doc: String,
        of: Option<String>,
        name: String,
        kind: String,
        value: String,
    },
    /// `layout!(Type, size …, field offset, …)`.
    Layout {
        name: String,
        size: String,
        offsets: Vec<(String, String)>,
    },
}

#[derive(Debug, PartialEq)]
pub(crate) struct Field {
    pub(crate) doc: String,
    pub(crate) name: String,
    pub(crate) kind: String,
}

#[derive(Debug, PartialEq)]
pub(crate) struct Signature {
    /// Names and types.
    pub(crate) arguments: Vec<(String, String)>,
    pub(crate) returns: Option<String>,
}

/// The items of one file, in order. Tests, private items, functions and other
/// attributes are left out.
pub(crate) fn items(source: &str) -> Result<Vec<Item>, String> {
    let source = source
        .split("#[cfg(test)]")
        .next()
        .unwrap_or_default()
        .replace("super::layout!", "layout!");
    let mut items = Vec::new();
    let mut doc = String::new();
    let mut of = None;
    let mut lines = source.lines().peekable();
    while let Some(line) = lines.next() {
        let text = line.trim();
        if let Some(rest) = text.strip_prefix("///") {
            doc.push_str(rest.strip_prefix(' ').unwrap_or(rest));
            doc.push('\n');
            continue;
        }
        if text.starts_with("#[") {
            continue;
        }
        let mut statement = text.to_owned();
        let begins = |word: &str| text.starts_with(word);
        if begins("impl ") && line.ends_with('{') {
            of = name_of_impl(text);
        } else if line == "}" {
            of = None;
        }
        let wanted = begins("pub struct ") || begins("pub type ") || begins("layout!(");
        let constant = begins("pub const ") && !begins("pub const fn");
        if wanted || constant {
            // Up to the end of the statement, comments inside included.
            while !complete(&statement) {
                let next = lines.next().ok_or("the file ends inside an item")?;
                statement.push('\n');
                statement.push_str(next.trim());
            }
            items.extend(item(&statement, std::mem::take(&mut doc), of.as_deref())?);
        }
        doc.clear();
    }
    Ok(items)
}

fn name_of_impl(text: &str) -> Option<String> {
    let name = text.strip_prefix("impl ")?.strip_suffix('{')?.trim();
    (!name.contains(' ')).then(|| name.to_owned())
}

/// Whether brackets are closed and the statement has its end.
fn complete(statement: &str) -> bool {
    let depth: i32 = without_docs(statement)
        .chars()
        .map(|c| match c {
            '{' | '(' | '[' => 1,
            '}' | ')' | ']' => -1,
            _ => 0,
        })
        .sum();
    depth == 0 && (statement.ends_with(';') || statement.ends_with('}'))
}

fn without_docs(text: &str) -> String {
    let code = |line: &&str| !line.trim_start().starts_with("//");
    text.lines().filter(code).collect::<Vec<_>>().join("\n")
}

fn item(text: &str, doc: String, of: Option<&str>) -> Result<Option<Item>, String> {
    if let Some(rest) = text.strip_prefix("pub struct ") {
        return structure(rest, doc).map(Some);
    }
    if let Some(rest) = text.strip_prefix("pub type ") {
        let (name, kind) = rest.split_once('=').ok_or("a type without `=`")?;
        return Ok(Some(Item::Function {
            doc,
            name: name.trim().to_owned(),
            signature: signature(kind.trim().trim_end_matches(';'))?,
        }));
    }
    if let Some(rest) = text.strip_prefix("pub const ") {
        let (name, rest) = rest.split_once(':').ok_or("a constant without a type")?;
        let (kind, value) = rest.split_once('=').ok_or("a constant without a value")?;
        return Ok(Some(Item::Constant {
            doc,
            of: of.map(str::to_owned),
            name: name.trim().to_owned(),
            kind: kind.trim().to_owned(),
            value: value.trim().trim_end_matches(';').replace('\n', " "),
        }));
    }
    layout(text).map(Some)
}

fn structure(rest: &str, doc: String) -> Result<Item, String> {
    let tuple = rest.split_once('(').filter(|(name, _)| !name.contains('{'));
    if let Some((name, inner)) = tuple {
        let inner = inner.trim_end_matches(';').trim_end_matches(')');
        return Ok(Item::Number {
            doc,
            name: name.trim().to_owned(),
            inner: inner.trim_start_matches("pub ").to_owned(),
        });
    }
    let (name, body) = rest.split_once('{').ok_or("a struct without a body")?;
    let body = body.trim_end_matches('}');
    let mut fields = Vec::new();
    let mut doc_of_field = String::new();
    for line in body.lines().map(str::trim).filter(|line| !line.is_empty()) {
        if let Some(text) = line.strip_prefix("///") {
            doc_of_field.push_str(text.trim());
            doc_of_field.push('\n');
            continue;
        }
        let field = line.strip_prefix("pub ").ok_or("a field that is not pub")?;
        let (name, kind) = field.split_once(':').ok_or("a field without a type")?;
        fields.push(Field {
            doc: std::mem::take(&mut doc_of_field),
            name: name.trim().to_owned(),
            kind: kind.trim().trim_end_matches(',').to_owned(),
        });
    }
    Ok(Item::Struct {
        doc,
        name: name.trim().to_owned(),
        fields,
    })
}

/// `unsafe extern "C" fn(a: A, b: B) -> R`.
pub(crate) fn signature(text: &str) -> Result<Signature, String> {
    let rest = text
        .strip_prefix("unsafe extern \"C\" fn")
        .ok_or_else(|| format!("`{text}` is not a C function"))?
        .trim();
    let end = rest.rfind(')').ok_or("a function without arguments")?;
    let arguments = rest[1..end]
        .split(',')
        .map(str::trim)
        .filter(|argument| !argument.is_empty())
        .map(|argument| {
            let (name, kind) = argument
                .split_once(':')
                .ok_or("an argument without a type")?;
            Ok((name.trim().to_owned(), kind.trim().to_owned()))
        })
        .collect::<Result<_, String>>()?;
    let returns = rest[end + 1..].trim().strip_prefix("->");
    Ok(Signature {
        arguments,
        returns: returns.map(|kind| kind.trim().to_owned()),
    })
}

fn layout(text: &str) -> Result<Item, String> {
    let inner = text
        .strip_prefix("layout!(")
        .and_then(|rest| rest.strip_suffix(");"))
        .ok_or("a layout without an end")?;
    let mut parts = inner.split(',').map(str::trim).filter(|p| !p.is_empty());
    let name = parts.next().ok_or("a layout without a type")?.to_owned();
    let size = parts
        .next()
        .and_then(|part| part.strip_prefix("size "))
        .ok_or("a layout without a size")?
        .to_owned();
    let offsets = parts
        .map(|part| {
            let (name, offset) = part.split_once(' ').ok_or("a field without an offset")?;
            Ok((name.to_owned(), offset.to_owned()))
        })
        .collect::<Result<_, String>>()?;
    Ok(Item::Layout {
        name,
        size,
        offsets,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCE: &str = "\
//! A file.
use super::WORD;

/// A kind.
#[repr(transparent)]
pub struct Kind(pub u32);

impl Kind {
    /// The first.
    pub const ONE: Self = Self(1);

    /// Not an item.
    pub const fn is_one(self) -> bool {
        self.0 == 1
    }
}

/// A table.
#[repr(C)]
#[derive(Debug)]
pub struct Table {
    /// Where (it is).
    pub at: *const Kind,
    /// May be NULL.
    pub call: Option<unsafe extern \"C\" fn(index: usize) -> *const Kind>,
}

/// Calls.
pub type CallFn = unsafe extern \"C\" fn(
    instance: *mut c_void,
    count: usize,
) -> Status;

super::layout!(
    Table, size 2 * WORD,
    at 0, call WORD,
);
";

    #[test]
    fn the_forms_of_the_abi_are_read() {
        let items = items(SOURCE).unwrap();
        assert_eq!(items.len(), 5, "{items:?}");
        assert!(
            matches!(&items[1], Item::Constant { of: Some(of), name, value, .. }
                if of == "Kind" && name == "ONE" && value == "Self(1)")
        );
        assert!(matches!(&items[2], Item::Struct { fields, .. }
            if fields[0].doc == "Where (it is).\n" && fields[1].name == "call"));
        assert!(matches!(&items[3], Item::Function { signature, .. }
            if signature.arguments.len() == 2 && signature.returns.as_deref() == Some("Status")));
        assert!(matches!(&items[4], Item::Layout { offsets, .. }
            if offsets[1] == ("call".to_owned(), "WORD".to_owned())));
    }

    #[test]
    fn what_is_in_no_known_form_is_an_error_and_not_left_out() {
        assert!(items("pub type Call = fn(u8);").is_err());
        assert!(items("pub struct Open {\n    field: u8,\n}").is_err());
        assert!(items("pub struct Cut {").is_err());
    }
}
