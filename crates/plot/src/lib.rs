//! Small SVG charts for schedules, signals and training curves.
