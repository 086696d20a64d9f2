//! The macro that turns types into a plugin.

/// Makes a plugin of types that implement [`Transform`](crate::Transform) and
/// [`Scheduler`](crate::Scheduler). It stands once in the root of a crate with
/// `crate-type = ["cdylib"]`:
///
/// ```
/// # use firecraft_plugin::{Scheduler, Step, declare_plugin};
/// # use schemars::JsonSchema;
/// # use serde::Deserialize;
/// # #[derive(Deserialize, JsonSchema)]
/// # struct Halving;
/// # impl Scheduler for Halving {
/// #     type State = ();
/// #     const NAME: &'static str = "halving";
/// #     const SUMMARY: &'static str = "halves";
/// #     fn step(&self, _: &mut (), _: &Step, _: &mut [f64]) {}
/// # }
/// declare_plugin! {
///     id: "org.example.halving",
///     transforms: [],
///     schedulers: [Halving],
/// }
/// # fn main() {}
/// ```
///
/// The plugin's version is that of the crate. With `entry: name,` in front, the
/// entry function gets this name and is not exported, to be linked statically.
///
/// With `self_test: path,` at the end, that function (`fn() -> Result<(), Error>`)
/// becomes the plugin's own test, which `firecraft plugin check` runs.
///
/// A crate that is compiled with `panic = "abort"` is refused: a panic must
/// become an error, not the end of the host.
#[macro_export]
macro_rules! declare_plugin {
    (entry: $entry:ident, $($rest:tt)*) => {
        $crate::declare_plugin!(@entry [] $entry $($rest)*);
    };
    (@entry [$($attribute:tt)*] $entry:ident
        id: $id:expr,
        transforms: [$($transform:ty),* $(,)?],
        schedulers: [$($scheduler:ty),* $(,)?]
        $(, self_test: $test:expr)? $(,)?
    ) => {
        #[cfg(panic = "abort")]
        compile_error!("a plugin must be compiled with `panic = \"unwind\"`");

        /// Returns the plugin's table.
        ///
        /// # Safety
        /// `host` points to the host's table, which lives as long as the process.
        #[allow(unsafe_code)]
        $($attribute)*
        pub unsafe extern "C" fn $entry(
            host: *const $crate::abi::Host,
        ) -> *const $crate::abi::Entry {
            static PLUGIN: $crate::glue::Plugin = $crate::glue::Plugin::new(
                $id,
                env!("CARGO_PKG_VERSION"),
                || vec![
                    $($crate::glue::transform_class::<$transform>(),)*
                    $($crate::glue::scheduler_class::<$scheduler>(),)*
                ],
                class,
            )$(.with_self_test(
                {
                    unsafe extern "C" fn run(
                        error: *const $crate::abi::Sink,
                    ) -> $crate::abi::Status {
                        // SAFETY: the host passes a sink for this call.
                        unsafe { $crate::glue::self_test($test, error) }
                    }
                    run
                },
                {
                    unsafe extern "C" fn extension(
                        id: $crate::abi::Str,
                    ) -> *const ::core::ffi::c_void {
                        // SAFETY: the host lends readable text.
                        unsafe { PLUGIN.extension(id) }
                    }
                    extension
                },
            ))?;
            unsafe extern "C" fn class(index: usize) -> *const $crate::abi::Class {
                PLUGIN.class(index)
            }
            // SAFETY: the host's table is what the caller vouches for.
            unsafe { PLUGIN.entry(host) }
        }
    };
    ($($rest:tt)*) => {
        $crate::declare_plugin!(
            @entry [#[unsafe(no_mangle)]] firecraft_plugin_entry $($rest)*
        );
    };
}
