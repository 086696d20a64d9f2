//! Training techniques for burn: normalisation, initialisation, schedules, augmentation and a trainer.
