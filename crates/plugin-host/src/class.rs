//! One class of a plugin, checked.

use std::ffi::c_void;

use firecraft_plugin::abi::{
    Class, ClassFlags, ClassKind, CreateFn, DestroyFn, Entry, Head, SchedulerTable, SelfTest,
    Targets, TransformTable,
};

use crate::{
    PluginError,
    read::{self, Table},
};

/// The longest summary, in bytes.
const SUMMARY_LIMIT: usize = 1024;
/// The longest schema, in bytes.
const SCHEMA_LIMIT: usize = 1 << 20;
/// The longest name, in bytes.
const NAME_LIMIT: usize = 64;

// SAFETY: `repr(C)` with a head first; zero is empty text, no class, no function.
unsafe impl Table for Entry {
    const NAME: &'static str = "entry";
    const LEAST: usize = Entry::LEAST;
}
// SAFETY: `repr(C)` with a head first; zero is empty text, no function, no table.
unsafe impl Table for Class {
    const NAME: &'static str = "class";
    // All that version 1.0 has; a field that a later one appends is optional.
    const LEAST: usize = size_of::<Class>();
}
// SAFETY: `repr(C)` with a head first; zero is no function.
unsafe impl Table for TransformTable {
    const NAME: &'static str = "transform";
    const LEAST: usize = size_of::<TransformTable>();
}
// SAFETY: `repr(C)` with a head first; zero is no function.
unsafe impl Table for SelfTest {
    const NAME: &'static str = "self-test";
    const LEAST: usize = size_of::<SelfTest>();
}
// SAFETY: `repr(C)` with a head first; zero is no function.
unsafe impl Table for SchedulerTable {
    const NAME: &'static str = "scheduler";
    const LEAST: usize = size_of::<SchedulerTable>();
}

/// What a class tells about itself, checked and owned.
#[derive(Debug, Clone)]
pub struct ClassInfo {
    name: &'static str,
    summary: String,
    schema: serde_json::Value,
    state_version: u32,
    flags: ClassFlags,
    targets: Targets,
    pub(crate) create: CreateFn,
    pub(crate) destroy: DestroyFn,
    pub(crate) functions: Functions,
}

/// The functions of a class by its kind; those that every plugin must have are
/// there.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Functions {
    Transform(TransformTable),
    Scheduler(SchedulerTable),
}

impl ClassInfo {
    /// Checks a class.
    ///
    /// # Safety
    /// `class` is null or a class of a plugin: its size is there, and all of it
    /// outlives the process.
    pub(crate) unsafe fn read(class: *const Class) -> Result<Self, PluginError> {
        // SAFETY: the caller vouches for the class.
        let class = unsafe { read::table(class) }?;
        // SAFETY: text of a table whose version fits.
        let (name, summary, schema) = unsafe {
            (
                read::text("name", class.name, NAME_LIMIT)?,
                read::text("summary", class.summary, SUMMARY_LIMIT)?,
                read::text("params_schema", class.params_schema, SCHEMA_LIMIT)?,
            )
        };
        let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "_.-".contains(c);
        if !name.chars().all(allowed) {
            return Err(PluginError::Text {
                field: "name",
                found: format!(
                    "`{}`, with other characters than a-z 0-9 _ . -",
                    name.escape_debug()
                ),
                limit: NAME_LIMIT,
            });
        }
        let wrong = |problem: String| PluginError::Class {
            name: name.clone(),
            problem,
        };
        let schema: serde_json::Value = serde_json::from_str(&schema)
            .map_err(|error| wrong(format!("its schema is not JSON: {error}")))?;
        if !schema.is_object() {
            return Err(wrong("its schema is not a JSON object".to_owned()));
        }
        if let Some(keyword) = misused(&schema) {
            return Err(wrong(format!(
                "its schema's `{keyword}` is of the wrong type"
            )));
        }
        let missing = |function: &str| wrong(format!("its function `{function}` is NULL"));
        Ok(Self {
            create: class.create.ok_or_else(|| missing("create"))?,
            destroy: class.destroy.ok_or_else(|| missing("destroy"))?,
            // SAFETY: the table of the class, by its kind.
            functions: unsafe { functions(class.kind, class.table, &wrong) }?,
            state_version: class.state_version,
            flags: class.flags,
            targets: class.targets,
            // Registries want a name for ever; one leak per class and load, as the
            // library itself is never unloaded.
            name: Box::leak(name.into_boxed_str()),
            summary,
            schema,
        })
    }

    /// The name in specs.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The error of a class that did not do as the ABI has it.
    pub(crate) fn wrong(&self, problem: impl Into<String>) -> PluginError {
        PluginError::Class {
            name: self.name.to_owned(),
            problem: problem.into(),
        }
    }

    /// What it does, in a sentence.
    pub fn summary(&self) -> &str {
        &self.summary
    }

    /// The JSON Schema of its parameters.
    pub fn schema(&self) -> &serde_json::Value {
        &self.schema
    }

    /// Whether it is a transform or a scheduler.
    pub fn kind(&self) -> ClassKind {
        match self.functions {
            Functions::Transform(_) => ClassKind::TRANSFORM,
            Functions::Scheduler(_) => ClassKind::SCHEDULER,
        }
    }

    /// Whether it is a transform; a scheduler otherwise.
    pub fn is_transform(&self) -> bool {
        self.kind() == ClassKind::TRANSFORM
    }

    /// What it promises, in words.
    pub fn promises(&self) -> Vec<&'static str> {
        let words = [
            (
                ClassFlags::THREAD_SHARED,
                "works on several threads at once",
            ),
            (ClassFlags::IN_PLACE, "works in place"),
        ];
        let holds = |(flag, word)| self.flags.contains(flag).then_some(word);
        words.into_iter().filter_map(holds).collect()
    }

    /// What a transform can move, in words.
    pub fn moves(&self) -> Vec<&'static str> {
        let words = [
            (Targets::IMAGE, "image"),
            (Targets::MASKS, "masks"),
            (Targets::BOXES, "boxes"),
            (Targets::POINTS, "key points"),
        ];
        let holds = |(target, word)| self.targets.contains(target).then_some(word);
        words.into_iter().filter_map(holds).collect()
    }

    /// The version of its saved state, or of its plans.
    pub fn state_version(&self) -> u32 {
        self.state_version
    }

    /// What it promises.
    pub fn flags(&self) -> ClassFlags {
        self.flags
    }

    /// What a transform can move.
    pub fn targets(&self) -> Targets {
        self.targets
    }
}

/// A keyword at the top of a schema whose value is of a type that JSON Schema
/// doesn't give it.
fn misused(schema: &serde_json::Value) -> Option<&'static str> {
    use serde_json::Value;
    type Fits = fn(&Value) -> bool;
    let keywords: [(&str, Fits); 7] = [
        ("type", |value| value.is_string() || value.is_array()),
        ("properties", Value::is_object),
        ("required", Value::is_array),
        ("additionalProperties", |value| {
            value.is_boolean() || value.is_object()
        }),
        ("examples", Value::is_array),
        ("title", Value::is_string),
        ("description", Value::is_string),
    ];
    let wrong = |(keyword, fits): &(&str, Fits)| schema.get(keyword).is_some_and(|v| !fits(v));
    keywords.into_iter().find(wrong).map(|(keyword, _)| keyword)
}

/// # Safety
/// `table` is null or the table that belongs to `kind`.
unsafe fn functions(
    kind: ClassKind,
    table: *const Head,
    wrong: &dyn Fn(String) -> PluginError,
) -> Result<Functions, PluginError> {
    let missing = |function: &str| wrong(format!("its function `{function}` is NULL"));
    match kind {
        ClassKind::TRANSFORM => {
            // SAFETY: the caller vouches for it.
            let table: TransformTable = unsafe { read::table(table.cast()) }?;
            table.plan.ok_or_else(|| missing("plan"))?;
            table.apply.ok_or_else(|| missing("apply"))?;
            Ok(Functions::Transform(table))
        }
        ClassKind::SCHEDULER => {
            // SAFETY: the caller vouches for it.
            let table: SchedulerTable = unsafe { read::table(table.cast()) }?;
            table.step.ok_or_else(|| missing("step"))?;
            if table.save.is_some() != table.load.is_some() {
                let one = if table.save.is_some() { "load" } else { "save" };
                return Err(missing(one));
            }
            Ok(Functions::Scheduler(table))
        }
        ClassKind(kind) => Err(wrong(format!(
            "it is of kind {kind}, which this host does not know"
        ))),
    }
}

/// The pointer that `create` gives.
pub(crate) type RawInstance = *mut c_void;
