//! Every setting, typed, with its flag, its variable and its default.
