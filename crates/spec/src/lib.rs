//! Specs by name, a self-describing value, and the open registry.
//!
//! Everything configurable in firecraft is written down as a [`Spec`]: the
//! name of a type and its parameters. A [`Registry`] turns a spec into an
//! object. It is a value that its owner fills, not a global: built-ins,
//! applications and plugins register in the same one.
//!
//! What lives here: [`Value`] and its serde implementations, [`Spec`],
//! [`Registry`], [`Registries`], [`schema_of`], [`SpecError`]. What must not: any knowledge
//! of what a spec describes (schedules, transforms, tensors), file formats,
//! input or output. A new kind of object needs no change here: its crate
//! implements [`Kind`] and exposes `register(&mut Registries)`.
//!
//! # Two phases
//!
//! A spec is parsed first and built second: [`Spec::parse`] turns the
//! parameters into a typed configuration, the constructor validates it and
//! calls [`Registry::build`] for the specs nested in it.
//!
//! ```
//! use firecraft_spec::{Kind, Registries, Registry, Spec, SpecError};
//! use serde::Deserialize;
//!
//! trait Shape {
//!     fn area(&self) -> f64;
//! }
//! struct Shapes;
//! impl Kind for Shapes {
//!     type Object = dyn Shape;
//!     const NAME: &'static str = "shape";
//! }
//!
//! #[derive(Deserialize)]
//! #[serde(deny_unknown_fields)]
//! struct Square {
//!     side: f64,
//! }
//! impl Shape for Square {
//!     fn area(&self) -> f64 {
//!         self.side * self.side
//!     }
//! }
//!
//! let mut registries = Registries::new();
//! registries
//!     .get_mut::<Shapes>()
//!     .register("square", "four equal sides", |spec, _| {
//!         let square: Square = spec.parse()?;
//!         Ok(Box::new(square))
//!     })?;
//!
//! let spec: Spec = toml::from_str("type = 'square'\nside = 3")?;
//! assert_eq!(registries.build::<Shapes>(&spec)?.area(), 9.0);
//!
//! let wrong: Spec = toml::from_str("type = 'sqare'\nside = 3")?;
//! let error = registries.build::<Shapes>(&wrong).err().unwrap();
//! assert_eq!(
//!     error.to_string(),
//!     "unknown shape `sqare`: did you mean `square`?; known: square"
//! );
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod error;
mod nearest;
mod read;
mod registries;
mod registry;
mod schema;
mod spec;
mod value;

pub use error::{Path, SpecError};
pub use nearest::nearest;
pub use registries::Registries;
pub use registry::{Constructor, Kind, Registry};
pub use schema::schema_of;
pub use spec::Spec;
pub use value::{MAX_DEPTH, Table, Value, from_value, to_value};
