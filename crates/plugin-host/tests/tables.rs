//! Tables of classes that are not as the ABI has them, older and newer ones.
// Tables are made of raw pointers; these are made here.
#![allow(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::{ffi::c_void, mem, ptr};

use firecraft_augment::{Boxes, Image, Points, Sample, Size, Transform};
use firecraft_key::Key;
use firecraft_plugin::abi::{
    self, Class, ClassFlags, ClassKind, CreateFn, Entry, Head, SELF_TEST, SampleMeta,
    SchedulerTable, SelfTest, Shape, Sink, Status, StepContext, Str, Targets, TransformTable,
};
use firecraft_plugin_host::{Plugin, PluginError};
use firecraft_schedule::{Scheduler, Schedulers, StepContext as Context, step_value};
use firecraft_spec::{Registries, Spec};

unsafe extern "C" fn create(_: Str, instance: *mut *mut c_void, _: *const Sink) -> Status {
    // SAFETY: the host gives a place for it; it is never read.
    unsafe { *instance = ptr::dangling_mut() };
    Status::OK
}

unsafe extern "C" fn destroy(_: *mut c_void) {}

unsafe extern "C" fn step(
    _: *mut c_void,
    context: *const StepContext,
    values: *mut f64,
    _: usize,
    _: *const Sink,
) -> Status {
    // SAFETY: the host passes a context and at least one value.
    unsafe { *values = 0.5 + (*context).update as f64 };
    Status::OK
}

const SCHEDULER: SchedulerTable = SchedulerTable {
    head: Head::of::<SchedulerTable>(),
    step: Some(step),
    save: None,
    load: None,
};
const TRANSFORM: TransformTable = TransformTable {
    head: Head::of::<TransformTable>(),
    plan: None,
    apply: None,
};

/// Lives as long as the process, as tables do.
fn kept<T>(value: T) -> &'static T {
    Box::leak(Box::new(value))
}

fn good() -> Class {
    Class {
        head: Head::of::<Class>(),
        kind: ClassKind::SCHEDULER,
        flags: ClassFlags::NONE,
        targets: Targets(0),
        state_version: 1,
        name: Str::from_static("good"),
        summary: Str::from_static("is as it should be"),
        params_schema: Str::from_static("{}"),
        create: Some(create as CreateFn),
        destroy: Some(destroy),
        table: ptr::from_ref(kept(SCHEDULER)).cast(),
    }
}

/// Reads a plugin of these classes.
fn read(classes: &[*const Class]) -> Result<Plugin, PluginError> {
    use std::cell::Cell;
    thread_local! {
        static CLASSES: Cell<&'static [*const Class]> = const { Cell::new(&[]) };
    }
    unsafe extern "C" fn class_at(index: usize) -> *const Class {
        CLASSES.get()[index]
    }
    CLASSES.set(classes.to_vec().leak());
    let entry = kept(Entry {
        head: Head::of::<Entry>(),
        id: Str::from_static("org.example.tables"),
        version: Str::from_static("1.0.0"),
        classes: classes.len(),
        class_at: Some(class_at),
        get_extension: None,
    });
    // SAFETY: a table of this version; what it points to is leaked.
    unsafe { Plugin::from_entry(entry) }
}

fn refused(class: Class) -> String {
    read(&[kept(class)]).unwrap_err().to_string()
}

fn text(bytes: &'static [u8]) -> Str {
    Str {
        ptr: bytes.as_ptr(),
        len: bytes.len(),
    }
}

#[test]
fn functions_that_are_null_are_named() {
    let table = |table: SchedulerTable| ptr::from_ref(kept(table)).cast();
    let scheduler = |table_: SchedulerTable| Class {
        table: table(table_),
        ..good()
    };
    let transform = Class {
        kind: ClassKind::TRANSFORM,
        table: ptr::from_ref(kept(TRANSFORM)).cast(),
        ..good()
    };
    for (class, function) in [
        (
            Class {
                create: None,
                ..good()
            },
            "create",
        ),
        (
            Class {
                destroy: None,
                ..good()
            },
            "destroy",
        ),
        (
            scheduler(SchedulerTable {
                step: None,
                ..SCHEDULER
            }),
            "step",
        ),
        (transform, "plan"),
    ] {
        let error = refused(class);
        assert!(error.contains(&format!("`{function}` is NULL")), "{error}");
    }
    unsafe extern "C" fn plan(
        _: *const c_void,
        _: *const u64,
        _: *const SampleMeta,
        _: *const Sink,
        _: *mut Shape,
        _: *const Sink,
    ) -> Status {
        Status::FAILED
    }
    let half = TransformTable {
        plan: Some(plan),
        ..TRANSFORM
    };
    let error = refused(Class {
        kind: ClassKind::TRANSFORM,
        table: ptr::from_ref(kept(half)).cast(),
        ..good()
    });
    assert!(error.contains("`apply` is NULL"), "{error}");
    let missing = Class {
        table: ptr::null(),
        ..good()
    };
    assert!(refused(missing).contains("scheduler table is missing"));
}

#[test]
fn a_save_without_a_load_is_refused() {
    unsafe extern "C" fn save(_: *const c_void, _: *const Sink, _: *const Sink) -> Status {
        Status::OK
    }
    let table = kept(SchedulerTable {
        save: Some(save),
        ..SCHEDULER
    });
    let class = Class {
        table: ptr::from_ref(table).cast(),
        ..good()
    };
    assert!(refused(class).contains("`load` is NULL"));
}

#[test]
fn names_that_are_not_utf8_or_have_odd_characters_are_refused() {
    let named = |name: Str| refused(Class { name, ..good() });
    assert!(named(text(b"ok\xff")).contains("not UTF-8 from byte 2"));
    assert!(named(Str::EMPTY).contains("empty"));
    assert!(named(Str::from_static("Has Spaces")).contains("other characters"));
    assert!(named(text(&[b'a'; 65])).contains("65 bytes long"));
    let summary = refused(Class {
        summary: text(b"\xc0\xaf"),
        ..good()
    });
    assert!(summary.contains("`summary` is not UTF-8"), "{summary}");
    let schema = refused(Class {
        params_schema: text(b"{\"title\":\"\xff\"}"),
        ..good()
    });
    assert!(schema.contains("`params_schema` is not UTF-8"), "{schema}");
}

#[test]
fn a_self_test_without_a_function_is_an_error_and_an_unknown_extension_none() {
    static TABLE: SelfTest = SelfTest {
        head: Head::of::<SelfTest>(),
        run: None,
    };
    unsafe extern "C" fn broken(id: Str) -> *const c_void {
        // SAFETY: the host lends readable text.
        let known = unsafe { id.bytes() } == Some(SELF_TEST.as_bytes());
        if known {
            ptr::from_ref(&TABLE).cast()
        } else {
            ptr::null()
        }
    }
    unsafe extern "C" fn none(_: Str) -> *const c_void {
        ptr::null()
    }
    let run = |get_extension| {
        let entry = kept(Entry {
            head: Head::of::<Entry>(),
            id: Str::from_static("org.example.tables"),
            version: Str::from_static("1.0.0"),
            classes: 0,
            class_at: None,
            get_extension,
        });
        // SAFETY: a table of this version.
        unsafe { Plugin::from_entry(entry) }.unwrap().self_test()
    };
    let error = run(Some(broken)).unwrap_err().to_string();
    assert!(error.contains("`run` is NULL"), "{error}");
    assert!(!run(Some(none)).unwrap());
    assert!(!run(None).unwrap());
}

#[test]
fn a_schema_that_is_none_is_refused() {
    for (schema, word) in [
        ("{", "not JSON"),
        ("[]", "not a JSON object"),
        ("3", "not a JSON object"),
        ("{\"type\": 5}", "`type`"),
        ("{\"properties\": []}", "`properties`"),
        ("{\"required\": \"start\"}", "`required`"),
        ("{\"examples\": {}}", "`examples`"),
    ] {
        let error = refused(Class {
            params_schema: Str::from_static(schema),
            ..good()
        });
        assert!(
            error.contains("schema") && error.contains(word),
            "{schema}: {error}"
        );
    }
}

#[test]
fn kinds_that_are_not_known_and_tables_that_end_early_are_refused() {
    let kind = Class {
        kind: ClassKind(9),
        ..good()
    };
    assert!(refused(kind).contains("of kind 9"));
    let mut short = good();
    short.head.size -= 8;
    assert!(refused(short).contains("class table does not fit"));
    let mut table = SCHEDULER;
    table.head.size = 16;
    let class = Class {
        table: ptr::from_ref(kept(table)).cast(),
        ..good()
    };
    assert!(refused(class).contains("scheduler table does not fit"));
    let mut other = good();
    other.head.major = 2;
    assert!(refused(other).contains("ABI major version 2"));
    let mut magic = good();
    magic.head.magic = *b"\x7fELF\0\0\0\0";
    assert!(refused(magic).contains("magic"));
}

#[test]
fn two_classes_of_one_name_are_refused() {
    let error = read(&[kept(good()), kept(good())]).unwrap_err().to_string();
    assert!(error.contains("two classes of this name"), "{error}");
}

#[test]
fn a_target_that_the_class_can_not_move_is_an_error() {
    unsafe extern "C" fn plan(
        _: *const c_void,
        _: *const u64,
        _: *const SampleMeta,
        _: *const Sink,
        _: *mut Shape,
        _: *const Sink,
    ) -> Status {
        Status::OK
    }
    unsafe extern "C" fn apply(
        _: *const c_void,
        _: usize,
        _: *const abi::Bytes,
        source: *const abi::Sample,
        destination: *mut abi::Sample,
        _: *const Sink,
    ) -> Status {
        // SAFETY: the host passes one sample, whose rows stay as they are.
        unsafe {
            let (source, destination) = (&*source, &mut *destination);
            for row in 0..source.box_count {
                *destination.box_src.add(row) = row as u32;
            }
            for row in 0..source.point_count {
                *destination.point_src.add(row) = row as u32;
            }
            (destination.box_count, destination.point_count) =
                (source.box_count, source.point_count);
        }
        Status::OK
    }
    let with = |target: Targets| {
        let size = Size::new(2, 3);
        let mut sample = Sample::new(Image::from_u8(vec![7; 6], size, 1).unwrap());
        match target {
            Targets::MASKS => sample.masks = vec![Image::from_u8(vec![1; 6], size, 1).unwrap()],
            Targets::BOXES => sample.boxes = Some(Boxes::new(vec![])),
            _ => sample.points = Some(Points::new(vec![])),
        }
        sample
    };
    let targets = [
        (Targets::MASKS, "masks"),
        (Targets::BOXES, "boxes"),
        (Targets::POINTS, "key points"),
    ];
    for (declared, _) in targets {
        let plugin = read(&[kept(Class {
            kind: ClassKind::TRANSFORM,
            flags: ClassFlags::IN_PLACE,
            targets: Targets::IMAGE.and(declared),
            table: ptr::from_ref(kept(TransformTable {
                plan: Some(plan),
                apply: Some(apply),
                ..TRANSFORM
            }))
            .cast(),
            ..good()
        })]);
        let transform = plugin.unwrap().transform(&Spec::new("good")).unwrap();
        for (there, name) in targets {
            let mut sample = with(there);
            let plan = transform.plan(&sample.meta(), Key::from_seed(1)).unwrap();
            let applied = plan.apply(&mut sample);
            if there == declared {
                applied.unwrap();
            } else {
                let error = applied.unwrap_err().to_string();
                let expected = format!("has {name}, which this transform can't move");
                assert!(error.contains(&expected), "{error}");
            }
            assert_eq!(sample, with(there));
        }
    }
}

#[test]
fn a_newer_minor_version_with_longer_tables_works_in_this_host() {
    #[repr(C)]
    struct Newer<T> {
        table: T,
        appended: [usize; 5],
    }
    let mut scheduler = Newer {
        table: SCHEDULER,
        appended: [usize::MAX; 5],
    };
    scheduler.table.head.size = mem::size_of::<Newer<SchedulerTable>>() as u32;
    scheduler.table.head.minor = 7;
    let mut class = Newer {
        table: good(),
        appended: [usize::MAX; 5],
    };
    class.table.head.size = mem::size_of::<Newer<Class>>() as u32;
    class.table.head.minor = 7;
    class.table.table = ptr::from_ref(kept(scheduler)).cast();
    let plugin = read(&[ptr::from_ref(kept(class)).cast()]).unwrap();
    let mut registries = Registries::new();
    plugin.register(&mut registries).unwrap();
    let mut built = registries.build::<Schedulers>(&Spec::new("good")).unwrap();
    assert_eq!(step_value(&mut built, &Context::at(3)), 3.5);
}

#[test]
fn an_older_host_with_a_shorter_context_works_with_this_sdk() {
    use firecraft_plugin::{Scheduler as Authored, Step, glue};

    #[derive(serde::Deserialize, schemars::JsonSchema)]
    struct Seen {}
    impl Authored for Seen {
        type State = ();
        const NAME: &'static str = "seen";
        const SUMMARY: &'static str = "says what it sees";
        fn step(&self, (): &mut (), step: &Step, values: &mut [f64]) {
            values[0] = step.update as f64;
            values[1] = step.metric.unwrap_or(-1.0);
        }
    }
    let class = glue::scheduler_class::<Seen>();
    // SAFETY: the table of a scheduler.
    let table = unsafe { &*class.table.cast::<SchedulerTable>() };
    // A host whose context ends before the metric; behind it is anything.
    let context = StepContext {
        size: mem::offset_of!(StepContext, metric) as u32,
        flags: firecraft_plugin::abi::StepFlags::METRIC,
        update: 4,
        epoch: 0,
        total_updates: 0,
        updates_per_epoch: 0,
        metric: 123.0,
    };
    let (mut instance, mut values) = (ptr::null_mut(), [0.0; 2]);
    // SAFETY: as a host calls.
    unsafe {
        let params = Str::from_static("{}");
        assert!(class.create.unwrap()(params, &mut instance, ptr::null()).is_ok());
        let step = table.step.unwrap();
        assert!(step(instance, &context, values.as_mut_ptr(), 2, ptr::null()).is_ok());
        class.destroy.unwrap()(instance);
    }
    // The bytes beyond the size were not read: the field counts as zero.
    assert_eq!(values, [4.0, 0.0]);
}

#[test]
fn a_scheduler_without_state_saves_and_restores_nothing() {
    let plugin = read(&[kept(good())]).unwrap();
    let mut scheduler = plugin.scheduler(&Spec::new("good")).unwrap();
    let state = scheduler.state();
    scheduler.restore(&state).unwrap();
    assert!(plugin.scheduler(&Spec::new("bad")).is_err());
    assert!(plugin.transform(&Spec::new("good")).is_err());
}
