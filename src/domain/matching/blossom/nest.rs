//! Blossoms: closing an odd cycle into one node, opening it again, and moving the matches inside and along a path.
use super::{Label, Link, NONE, Node, Number, Solver};

/// Changing who is matched.
impl<N: Number> Solver<N> {
    /// Matches the ends of a tight edge, and along the paths to both roots what must follow.
    pub(super) fn augment(&mut self, a: u32, b: u32) {
        self.flip(a, b);
        self.flip(b, a);
    }

    /// Gives `vertex`, outer or uncovered, the new mate `with` (or none), and moves everybody on the way to its root by one.
    pub(super) fn flip(&mut self, mut vertex: u32, mut with: u32) {
        loop {
            let outer = self.top(vertex);
            let step = self.step_up(outer);
            self.mate[self.nodes[outer as usize].base as usize] = NONE;
            self.rebase(outer, vertex);
            self.mate[vertex as usize] = with;
            let Some(((_, inner_base), inner, (own, towards_root))) = step else { return };
            self.mate[inner_base as usize] = NONE;
            self.rebase(inner, own);
            self.mate[own as usize] = towards_root;
            (vertex, with) = (towards_root, own);
        }
    }

    /// Makes `vertex` the one by which a node is matched outwards, and rearranges the matches inside.
    pub(super) fn rebase(&mut self, node: u32, vertex: u32) {
        let mut open = vec![(node, vertex)];
        while let Some((node, vertex)) = open.pop() {
            let mut nest = vec![vertex];
            let mut outermost = vertex;
            while outermost != node {
                outermost = self.nodes[outermost as usize].parent;
                nest.push(outermost);
            }
            for level in (1..nest.len()).rev() {
                if self.nodes[nest[level] as usize].base == vertex {
                    break;
                }
                self.turn(nest[level], nest[level - 1], &mut open);
                self.nodes[nest[level] as usize].base = vertex;
            }
        }
    }

    /// Turns a blossom's cycle so that `first` comes first: every other link on the even way from it to the old first is matched now.
    fn turn(&mut self, blossom: u32, first: u32, open: &mut Vec<(u32, u32)>) {
        let mut children = std::mem::take(&mut self.nodes[blossom as usize].children);
        let mut links = std::mem::take(&mut self.nodes[blossom as usize].links);
        let length = children.len();
        let at = children.iter().position(|&child| child == first).unwrap_or(0);
        let matched = if at % 2 == 1 { at + 1..length } else { 0..at };
        for index in matched.step_by(2) {
            let (p, q) = links[index];
            self.mate[p as usize] = q;
            self.mate[q as usize] = p;
            open.push((children[index], p));
            open.push((children[(index + 1) % length], q));
        }
        children.rotate_left(at);
        links.rotate_left(at);
        (self.nodes[blossom as usize].children, self.nodes[blossom as usize].links) = (children, links);
    }
}

/// Closing and opening blossoms.
impl<N: Number> Solver<N> {
    /// Two outer vertices of one tree have met: the odd cycle that this closes becomes one outer node.
    pub(super) fn shrink(&mut self, a: u32, b: u32) {
        let ancestor = self.common_ancestor(self.top(a), self.top(b));
        let (mut children, links_up) = self.way_up(self.top(a), ancestor);
        children.push(ancestor);
        children.reverse();
        let mut links: Vec<Link> = links_up.iter().rev().map(|&(from, to)| (to, from)).collect();
        links.push((a, b));
        let (down, links_down) = self.way_up(self.top(b), ancestor);
        children.extend(down);
        links.extend(links_down);

        let mut new_outer = Vec::new();
        for &child in &children {
            if self.nodes[child as usize].label == Label::Inner {
                self.settle(child);
                new_outer.extend(self.vertices_of(child));
            } else {
                self.settle_blossom(child);
            }
        }
        let (base, tree) = (self.nodes[ancestor as usize].base, self.nodes[ancestor as usize].tree);
        let blossom = self.new_blossom(children, links, base);
        (self.nodes[blossom as usize].label, self.nodes[blossom as usize].tree) = (Label::Outer, tree);
        self.trees[tree as usize].push(blossom);
        for vertex in new_outer {
            self.scan(vertex);
        }
    }

    /// The first outer node on both ways to the root.
    fn common_ancestor(&mut self, a: u32, b: u32) -> u32 {
        self.search += 1;
        let (mut here, mut there) = (Some(a), Some(b));
        loop {
            if let Some(node) = here {
                if self.nodes[node as usize].seen == self.search {
                    return node;
                }
                self.nodes[node as usize].seen = self.search;
                here = self.step_up(node).map(|(_, _, (_, towards_root))| self.top(towards_root));
            }
            // Both are in one tree, so that the two ways end in one root and never both run out first.
            std::mem::swap(&mut here, &mut there);
        }
    }

    /// The nodes from an outer node up to, and without, `ancestor`, and the links from each to the next.
    fn way_up(&self, from: u32, ancestor: u32) -> (Vec<u32>, Vec<Link>) {
        let (mut nodes, mut links, mut outer) = (Vec::new(), Vec::new(), from);
        while outer != ancestor {
            let Some((matched, inner, entry)) = self.step_up(outer) else { break };
            nodes.extend([outer, inner]);
            links.extend([matched, entry]);
            outer = self.top(entry.1);
        }
        (nodes, links)
    }

    fn new_blossom(&mut self, children: Vec<u32>, links: Vec<Link>, base: u32) -> u32 {
        let blossom = self.unused.pop().unwrap_or_else(|| {
            self.nodes.push(Node::vertex(NONE));
            self.nodes.len() as u32 - 1
        });
        let largest = children.iter().copied().max_by_key(|&child| self.nodes[child as usize].size).unwrap_or(base);
        let group = self.nodes[largest as usize].group;
        let mut size = 0;
        for &child in &children {
            size += self.nodes[child as usize].size;
            self.nodes[child as usize].parent = blossom;
            if child != largest {
                for vertex in self.vertices_of(child) {
                    self.group[vertex as usize] = group;
                }
            }
        }
        self.top_of_group[group as usize] = blossom;
        let node = Node { base, group, size, children, links, since: self.clock, ..Node::vertex(blossom) };
        self.nodes[blossom as usize] = node;
        blossom
    }

    /// Takes a blossom on top apart; its children are on top and free afterwards.
    pub(super) fn split(&mut self, blossom: u32) -> (Vec<u32>, Vec<Link>) {
        let (children, links) = (std::mem::take(&mut self.nodes[blossom as usize].children), std::mem::take(&mut self.nodes[blossom as usize].links));
        for &child in &children {
            let node = &mut self.nodes[child as usize];
            (node.parent, node.label, node.tree, node.since) = (NONE, Label::Free, NONE, self.clock);
            let group = node.group;
            self.top_of_group[group as usize] = child;
            if group != self.nodes[blossom as usize].group {
                for vertex in self.vertices_of(child) {
                    self.group[vertex as usize] = group;
                }
            }
        }
        self.nodes[blossom as usize].label = Label::Free;
        self.unused.push(blossom);
        (children, links)
    }

    /// An inner blossom's dual is used up: its children on the even way from where the tree came in to the base stay in the tree,
    /// inner and outer in turn; the others, matched among themselves, are free.
    pub(super) fn open_inner(&mut self, blossom: u32) {
        let (tree, entry) = (self.nodes[blossom as usize].tree, self.nodes[blossom as usize].entry);
        self.settle(blossom);
        let (children, links) = self.split(blossom);
        let length = children.len();
        // After the split the child is the node on top of the vertex by which the tree came in.
        let entered = self.top(entry.1);
        let mut at = children.iter().position(|&child| child == entered).unwrap_or(0);
        let (mut kept, mut outer, mut entry) = (vec![false; length], Vec::new(), entry);
        loop {
            kept[at] = true;
            self.take_inner(children[at], entry, tree);
            if at == 0 {
                break;
            }
            let next;
            (next, at, entry) = if at % 2 == 1 {
                (at + 1, (at + 2) % length, links[at + 1])
            } else {
                let (own, towards_root) = links[at - 2];
                (at - 1, at - 2, (towards_root, own))
            };
            kept[next] = true;
            outer.push(children[next]);
        }
        for &node in &outer {
            self.join_tree(node, tree, Label::Outer);
        }
        for &node in &outer {
            self.scan_all(node);
        }
        for (&child, _) in children.iter().zip(&kept).filter(|(_, kept)| !**kept) {
            let freed = self.vertices_of(child);
            self.open_empty(child);
            for vertex in freed {
                self.offer(vertex);
            }
        }
    }
}
