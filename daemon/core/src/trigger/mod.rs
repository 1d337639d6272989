//! When a schedule is due: trigger expressions and the search for their instants.
