//! Which places of many lie under no interval, while intervals come and go.

/// A tree over the places: each node knows how many intervals cover all of it, and how many of its
/// places are free but for those further up.
#[derive(Clone, Debug, Default)]
pub(super) struct Cover {
    places: usize,
    /// Leaves of the tree: a power of two.
    leaves: usize,
    nodes: Vec<Node>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Node {
    covers: u32,
    free: u32,
}

impl Cover {
    /// So many places, all of them free.
    pub(super) fn new(places: usize) -> Self {
        let leaves = places.next_power_of_two();
        let mut nodes = vec![Node::default(); 2 * leaves];
        for leaf in nodes.iter_mut().skip(leaves).take(places) {
            leaf.free = 1;
        }
        let mut cover = Self {
            places,
            leaves,
            nodes,
        };
        for node in (1..leaves).rev() {
            cover.count(node);
        }
        cover
    }

    /// Covers the places from `from` up to, not with, `to` once more.
    pub(super) fn add(&mut self, from: usize, to: usize) {
        self.change(from, to, |covers| covers.saturating_add(1));
    }

    /// Takes away one interval that was added.
    pub(super) fn remove(&mut self, from: usize, to: usize) {
        self.change(from, to, |covers| covers.saturating_sub(1));
    }

    /// How many places are free.
    pub(super) fn free(&self) -> usize {
        self.free_of(1)
    }

    /// How many places are free up to, and with, `place`.
    pub(super) fn free_up_to(&self, place: usize) -> usize {
        let mut node = place.min(self.places.saturating_sub(1)) + self.leaves;
        let mut free = self.free_of(node);
        while node > 1 {
            let parent = node / 2;
            if self.covers(parent) > 0 {
                free = 0;
            } else if node % 2 == 1 {
                free += self.free_of(node - 1);
            }
            node = parent;
        }
        free
    }

    /// The free place before which there are so many others.
    pub(super) fn nth_free(&self, mut nth: usize) -> Option<usize> {
        if nth >= self.free() {
            return None;
        }
        let mut node = 1;
        while node < self.leaves {
            let left = self.free_of(2 * node);
            let goes_right = nth >= left;
            if goes_right {
                nth -= left;
            }
            node = 2 * node + usize::from(goes_right);
        }
        Some(node - self.leaves)
    }

    /// Changes the covers of the fewest nodes that make up an interval.
    fn change(&mut self, from: usize, to: usize, by: impl Fn(u32) -> u32) {
        let to = to.min(self.places);
        if from >= to {
            return;
        }
        let (mut left, mut right) = (from + self.leaves, to + self.leaves);
        while left < right {
            if left % 2 == 1 {
                self.change_node(left, &by);
                left += 1;
            }
            if right % 2 == 1 {
                right -= 1;
                self.change_node(right, &by);
            }
            left /= 2;
            right /= 2;
        }
        for edge in [from + self.leaves, to - 1 + self.leaves] {
            let mut node = edge / 2;
            while node > 0 {
                self.count(node);
                node /= 2;
            }
        }
    }

    fn change_node(&mut self, node: usize, by: &impl Fn(u32) -> u32) {
        if let Some(of) = self.nodes.get_mut(node) {
            of.covers = by(of.covers);
        }
        self.count(node);
    }

    /// Counts what is free in a node by what is free in its halves.
    fn count(&mut self, node: usize) {
        let inner = match node < self.leaves {
            true => self.free_of(2 * node) + self.free_of(2 * node + 1),
            false => usize::from(node - self.leaves < self.places),
        };
        if let Some(of) = self.nodes.get_mut(node) {
            let free = u32::try_from(inner).unwrap_or(u32::MAX);
            of.free = if of.covers > 0 { 0 } else { free };
        }
    }

    fn free_of(&self, node: usize) -> usize {
        self.nodes.get(node).map_or(0, |node| node.free as usize)
    }

    fn covers(&self, node: usize) -> u32 {
        self.nodes.get(node).map_or(0, |node| node.covers)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_counts_as_a_list_would(
            places in 0..70_usize,
            intervals in proptest::collection::vec((0..80_usize, 0..80_usize, any::<bool>()), 0..30),
        ) {
            let mut cover = Cover::new(places);
            let mut list = vec![0_u32; places];
            for (from, to, stays) in intervals {
                cover.add(from, to);
                if stays {
                    list.iter_mut().take(to).skip(from).for_each(|covers| *covers += 1);
                } else {
                    cover.remove(from, to);
                }
            }
            let free: Vec<usize> = (0..places).filter(|at| list[*at] == 0).collect();
            prop_assert_eq!(cover.free(), free.len());
            for (nth, place) in free.iter().enumerate() {
                prop_assert_eq!(cover.nth_free(nth), Some(*place));
            }
            prop_assert_eq!(cover.nth_free(free.len()), None);
            for place in 0..places {
                let before = free.iter().filter(|free| **free <= place).count();
                prop_assert_eq!(cover.free_up_to(place), before);
            }
        }
    }
}
