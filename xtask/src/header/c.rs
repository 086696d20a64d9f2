//! Writing the items as C.

use super::rust::{Item, Signature, signature};
use crate::Result;

const INTRODUCTION: &str = "\
/* The firecraft plugin ABI, for plugins in C.
 *
 * Made by `cargo xtask header` from crates/plugin/src/abi; do not edit.
 *
 * A plugin is a shared library that exports one function,
 *
 *   const FirecraftEntry *firecraft_plugin_entry(const FirecraftHost *host);
 *
 * Rules that hold for every function here:
 * - Whoever calls owns every buffer. Output of unknown length is written to a
 *   FirecraftSink of the caller. Nothing allocated on one side is freed on the
 *   other.
 * - Pointers that are passed in are valid for the duration of the call, and no
 *   longer; tables and FirecraftStrs inside tables live as long as the process.
 * - A status other than FIRECRAFT_STATUS_OK means that outputs are to be
 *   ignored; the reason is in the error sink, as UTF-8 for people.
 * - No exception leaves a function.
 * - Structs that may grow begin with their size: a field beyond it is absent.
 *
 * Needs C99; C++ can include it too. */
#ifndef FIRECRAFT_PLUGIN_H
#define FIRECRAFT_PLUGIN_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef __cplusplus
extern \"C\" {
#endif

#if defined(_WIN32)
#define FIRECRAFT_EXPORT __declspec(dllexport)
#else
#define FIRECRAFT_EXPORT __attribute__((visibility(\"default\")))
#endif

";

const END: &str = "
#ifdef __cplusplus
}
#endif

#endif
";

/// Text that a C author would otherwise write again and again.
const HELPERS: &str = "
/* The first member of a table of this version: FIRECRAFT_HEAD(FirecraftClass). */
#define FIRECRAFT_HEAD(table)                                                  \\
  {                                                                            \\
    {'f', 'i', 'r', 'e', 'c', 'r', 'f', 't'}, (uint32_t)sizeof(table),         \\
        FIRECRAFT_MAJOR, FIRECRAFT_MINOR                                       \\
  }

/* A literal as text: FIRECRAFT_STR(\"grain\"). */
#define FIRECRAFT_STR(literal)                                                 \\
  { (const uint8_t *)(literal), sizeof(literal) - 1 }

/* The function that a plugin exports. */
FIRECRAFT_EXPORT const FirecraftEntry *firecraft_plugin_entry(const FirecraftHost *host);

/* Writes a message, ended by a zero byte, and gives the status to return. */
static inline FirecraftStatus firecraft_fail(const FirecraftSink *error, const char *message) {
  if (error != NULL) {
    error->write(error->ctx, (const uint8_t *)message, strlen(message));
  }
  return FIRECRAFT_STATUS_FAILED;
}

";

/// The whole header.
pub(crate) fn header(items: &[Item], key: &str) -> Result<String> {
    let mut text = INTRODUCTION.to_owned();
    for item in items {
        if let Item::Struct { name, .. } = item {
            text.push_str(&format!("typedef struct {0} {0};\n", named(name)));
        }
    }
    text.push('\n');
    for item in items {
        write(item, &mut text)?;
    }
    text.push_str(HELPERS);
    text.push_str(key);
    text.push_str(END);
    Ok(text)
}

fn write(item: &Item, text: &mut String) -> Result<()> {
    match item {
        Item::Struct { doc, name, fields } => {
            comment(doc, "", text);
            text.push_str(&format!("struct {} {{\n", named(name)));
            for field in fields {
                comment(&field.doc, "  ", text);
                text.push_str(&format!("  {};\n", declare(&field.kind, &field.name)?));
            }
            text.push_str("};\n\n");
        }
        Item::Number { doc, name, inner } => {
            comment(doc, "", text);
            text.push_str(&format!("typedef {} {};\n\n", plain(inner)?, named(name)));
        }
        Item::Function {
            doc,
            name,
            signature,
        } => {
            comment(doc, "", text);
            let declared = function(signature, &named(name))?;
            text.push_str(&format!("typedef {declared};\n\n"));
        }
        Item::Constant {
            doc,
            of,
            name,
            kind,
            value,
        } => {
            if let Some(value) = constant(of.as_deref(), kind, value) {
                comment(doc, "", text);
                let prefix = of.as_deref().map(shout).unwrap_or_default();
                text.push_str(&format!("#define FIRECRAFT_{prefix}{name} {value}\n\n"));
            }
        }
        Item::Layout {
            name,
            size,
            offsets,
        } => layout(name, size, offsets, text),
    }
    Ok(())
}

/// The value in C; `None` for what C has no use for.
fn constant(of: Option<&str>, kind: &str, value: &str) -> Option<String> {
    match (of, kind) {
        (None, "u16") => Some(format!("{value}u")),
        (None, "&str") => Some(value.to_owned()),
        (None, "[u8; 8]") => Some(value.trim_start_matches("*b").to_owned()),
        (Some(of), "Self") => {
            let inner = value.strip_prefix("Self")?.trim();
            if let Some(number) = inner.strip_prefix('(') {
                return Some(format!(
                    "(({}){}u)",
                    named(of),
                    number.trim_end_matches(')')
                ));
            }
            // Fields by position: C++ before 20 knows no others.
            let fields = inner.strip_prefix('{')?.trim_end_matches('}');
            let values: Vec<&str> = fields
                .split(',')
                .filter_map(|field| Some(field.split_once(':')?.1.trim()))
                .collect();
            let plain = |value: &&str| value.bytes().all(|b| b.is_ascii_digit());
            values
                .iter()
                .all(plain)
                .then(|| format!("{{{}}}", values.join(", ")))
        }
        _ => None,
    }
}

/// `StepFlags` → `STEP_FLAGS_`; `DType` → `DTYPE_`.
fn shout(name: &str) -> String {
    let mut out = String::new();
    let letters: Vec<char> = name.chars().collect();
    for (i, letter) in letters.iter().enumerate() {
        let after_small = i > 0 && letters[i - 1].is_lowercase();
        if letter.is_uppercase() && after_small {
            out.push('_');
        }
        out.push(letter.to_ascii_uppercase());
    }
    out.push('_');
    out
}

fn named(name: &str) -> String {
    format!("Firecraft{name}")
}

/// A declaration of `name` as something of this type.
fn declare(kind: &str, name: &str) -> Result<String> {
    if let Some(inner) = kind
        .strip_prefix("Option<")
        .and_then(|rest| rest.strip_suffix('>'))
    {
        if inner.starts_with("unsafe extern") {
            return function(&signature(inner)?, name);
        }
        return Ok(format!("{} {name}", plain(inner)?));
    }
    if let Some((element, count)) = kind
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']')?.split_once(';'))
    {
        return Ok(format!("{} {name}[{}]", plain(element)?, count.trim()));
    }
    let kind = plain(kind)?;
    let space = if kind.ends_with('*') { "" } else { " " };
    Ok(format!("{kind}{space}{name}"))
}

fn function(signature: &Signature, name: &str) -> Result<String> {
    let mut arguments = Vec::new();
    for (name, kind) in &signature.arguments {
        arguments.push(declare(kind, name)?);
    }
    if arguments.is_empty() {
        arguments.push("void".to_owned());
    }
    let returns = match &signature.returns {
        Some(kind) => plain(kind)?,
        None => "void".to_owned(),
    };
    let space = if returns.ends_with('*') { "" } else { " " };
    Ok(format!(
        "{returns}{space}(*{name})({})",
        arguments.join(", ")
    ))
}

fn plain(kind: &str) -> Result<String> {
    let kind = kind.trim();
    if let Some(target) = kind.strip_prefix("*const ") {
        let target = plain(target)?;
        return Ok(format!("const {target} *"));
    }
    if let Some(target) = kind.strip_prefix("*mut ") {
        let target = plain(target)?;
        let space = if target.ends_with('*') { "" } else { " " };
        return Ok(format!("{target}{space}*"));
    }
    Ok(match kind {
        "u8" => "uint8_t".to_owned(),
        "u16" => "uint16_t".to_owned(),
        "u32" => "uint32_t".to_owned(),
        "u64" => "uint64_t".to_owned(),
        "i64" => "int64_t".to_owned(),
        "f64" => "double".to_owned(),
        "usize" => "size_t".to_owned(),
        "c_void" => "void".to_owned(),
        name if name.chars().all(char::is_alphanumeric) => named(name),
        other => return Err(format!("no C type is known for `{other}`").into()),
    })
}

/// C++ has had `static_assert` since 2011, C since the same year.
fn layout(name: &str, size: &str, offsets: &[(String, String)], text: &mut String) {
    let name = named(name);
    let number = |expression: &str| {
        expression
            .replace("WORD", "sizeof(void *)")
            .replace("VIEW", "sizeof(FirecraftView)")
    };
    text.push_str("#if defined(__cplusplus) && __cplusplus >= 201103L\n");
    for (guard, word) in [
        ("", "static_assert"),
        (
            "#elif defined(__STDC_VERSION__) && __STDC_VERSION__ >= 201112L\n",
            "_Static_assert",
        ),
    ] {
        text.push_str(guard);
        text.push_str(&format!(
            "{word}(sizeof({name}) == {}, \"size\");\n",
            number(size)
        ));
        for (field, offset) in offsets {
            text.push_str(&format!(
                "{word}(offsetof({name}, {field}) == {}, \"{field}\");\n",
                number(offset)
            ));
        }
    }
    text.push_str("#endif\n\n");
}

/// The documentation, without links and examples, which are Rust's.
fn comment(doc: &str, indent: &str, text: &mut String) {
    let prose = doc.split("```").next().unwrap_or_default().trim();
    if prose.is_empty() {
        return;
    }
    let mut lines = unlinked(prose)
        .lines()
        .map(str::trim_end)
        .collect::<Vec<_>>()
        .join(&format!("\n{indent} * "));
    lines = lines.replace(" * \n", " *\n");
    text.push_str(&format!("{indent}/* {lines} */\n"));
}

/// `` [`Head`](super::Head) `` → `` `Head` ``.
fn unlinked(prose: &str) -> String {
    let mut out = String::new();
    let mut rest = prose;
    while let Some(start) = rest.find("[`") {
        let Some(end) = rest[start..].find("`]") else {
            break;
        };
        out.push_str(&rest[..start]);
        out.push_str(&rest[start + 1..=start + end]);
        rest = &rest[start + end + 2..];
        if rest.starts_with('(')
            && let Some(close) = rest.find(')')
        {
            rest = &rest[close + 1..];
        }
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_become_those_of_c() {
        assert_eq!(
            declare("*const Sink", "a").unwrap(),
            "const FirecraftSink *a"
        );
        assert_eq!(declare("*mut *mut c_void", "a").unwrap(), "void **a");
        assert_eq!(declare("[i64; 4]", "a").unwrap(), "int64_t a[4]");
        assert_eq!(declare("Option<PlanFn>", "a").unwrap(), "FirecraftPlanFn a");
        assert_eq!(
            declare(
                "Option<unsafe extern \"C\" fn(i: usize) -> *const Class>",
                "a"
            )
            .unwrap(),
            "const FirecraftClass *(*a)(size_t i)"
        );
        assert!(declare("&'static str", "a").is_err());
    }

    #[test]
    fn constants_keep_their_values() {
        let value = |of, value| constant(of, "Self", value);
        assert_eq!(
            value(Some("Status"), "Self(2)").unwrap(),
            "((FirecraftStatus)2u)"
        );
        assert_eq!(
            value(Some("DType"), "Self { code: 1, bits: 8, lanes: 1, }").unwrap(),
            "{1, 8, 1}"
        );
        assert_eq!(value(Some("View"), "Self { data: ptr::null_mut(), }"), None);
        assert_eq!(shout("StepFlags"), "STEP_FLAGS_");
        assert_eq!(shout("DType"), "DTYPE_");
    }

    #[test]
    fn links_of_the_documentation_become_names() {
        assert_eq!(
            unlinked("see [`Head`] and [`A`](super::A)."),
            "see `Head` and `A`."
        );
    }
}
