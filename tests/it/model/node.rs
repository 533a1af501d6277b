//! The way to the chain: each call may be lost, answered into the void, answered by a node that is behind, be the last
//! one its caller makes, or find that the chain has just moved.

use std::sync::Mutex;
use std::time::Duration;

use alloy::primitives::Address;
use sceau::chain::{Block, ChainError, Target};
use tokio::sync::Notify;

use super::{Fate, Rng, World};

/// How the endpoint behaves, in percent of the calls.
#[derive(Debug, Clone, Copy, Default)]
pub struct Moods {
    /// The request never arrives.
    pub lost: u64,
    /// It takes effect, the answer is lost.
    pub answer_lost: u64,
    /// It is answered with a failure after a while.
    pub hang: u64,
    /// The chain moves just before: a block, or a reorg.
    pub moves: u64,
}

/// After how many more calls the caller dies, and whether that call still takes effect.
#[derive(Debug, Clone, Copy)]
pub struct Crash {
    pub after: u64,
    pub effect: bool,
}

#[derive(Debug)]
pub(super) struct Inside {
    world: World,
    /// What another node behind the same address believes: an older state, maybe of another fork.
    other: Option<World>,
    /// Which of the two answers.
    behind: bool,
    /// The other one takes over for good after so many more calls.
    switch_after: Option<u64>,
    /// Whether the other one may take over once more.
    may_switch: bool,
    rng: Rng,
    moods: Moods,
    crash: Option<Crash>,
    pub(super) echo: bool,
    pub(super) orphans: Vec<Block>,
}

/// See the module.
#[derive(Debug)]
pub struct Model {
    pub(super) target: Target,
    pub(super) inside: Mutex<Inside>,
    /// Told when a call was the caller's last.
    pub died: Notify,
}

enum Way<T> {
    Answer(T),
    Fail,
    Hang,
    Die,
}

impl Model {
    pub fn new(publisher: Address, lag: u64, rng: Rng) -> Self {
        let inside = Inside {
            world: World::new(publisher, lag),
            other: None,
            behind: false,
            switch_after: None,
            may_switch: true,
            rng,
            moods: Moods::default(),
            crash: None,
            echo: false,
            orphans: Vec::new(),
        };
        let target = Target { chain_id: 31337, registry: Address::repeat_byte(0x5c) };
        Self { target, inside: Mutex::new(inside), died: Notify::new() }
    }

    /// The truth.
    pub fn world<T>(&self, look: impl FnOnce(&mut World) -> T) -> T {
        look(&mut self.inside.lock().unwrap().world)
    }

    pub fn set_moods(&self, moods: Moods) {
        self.inside.lock().unwrap().moods = moods;
    }

    pub fn set_crash(&self, crash: Option<Crash>) {
        self.inside.lock().unwrap().crash = crash;
    }

    /// From now on another node, which stays where the chain is now, answers: from the start (`at_once`), or from some
    /// call on.
    pub fn fall_behind(&self, at_once: bool) {
        let mut inside = self.inside.lock().unwrap();
        inside.other = Some(inside.world.clone());
        inside.behind = at_once;
    }

    /// From now on a node that believes in `other` answers.
    pub fn answer_from(&self, other: World) {
        let mut inside = self.inside.lock().unwrap();
        inside.other = Some(other);
        inside.behind = true;
        inside.may_switch = false;
    }

    /// The other node takes over for good after so many more calls.
    pub fn fall_behind_after(&self, calls: u64) {
        let mut inside = self.inside.lock().unwrap();
        inside.may_switch = false;
        inside.switch_after = Some(calls);
    }

    pub fn catch_up(&self) {
        let mut inside = self.inside.lock().unwrap();
        inside.switch_after = None;
        inside.other = None;
        inside.behind = false;
    }

    /// A step begins: while it lasts the endpoint changes at most once. (What changes at every call can only be told by
    /// asking several endpoints.)
    pub fn begin(&self) {
        self.inside.lock().unwrap().may_switch = true;
    }

    /// A broken client for a positive control: asked for a block by its height, it answers any block it ever saw there.
    pub fn echo_orphans(&self) {
        self.inside.lock().unwrap().echo = true;
    }

    pub fn reorg(&self, depth: u64, fate: Fate) {
        self.inside.lock().unwrap().reorg(depth, fate);
    }

    fn draw<T>(&self, ask: impl FnOnce(&mut World) -> T) -> Way<T> {
        let mut inside = self.inside.lock().unwrap();
        let moods = inside.moods;
        if inside.rng.chance(moods.moves) {
            inside.stir();
        }
        if inside.other.is_some() && inside.may_switch && inside.rng.chance(10) {
            inside.behind = !inside.behind;
            inside.may_switch = false;
        }
        inside.switch_after = match inside.switch_after {
            Some(0) => {
                inside.behind = true;
                None
            }
            left => left.map(|calls| calls - 1),
        };
        if let Some(crash) = &mut inside.crash {
            if crash.after == 0 {
                if crash.effect {
                    ask(inside.seen());
                }
                return Way::Die;
            }
            crash.after -= 1;
        }
        let fate = inside.rng.below(100);
        if fate < moods.lost {
            return Way::Fail;
        }
        if fate < moods.lost + moods.hang {
            return Way::Hang;
        }
        let answer = ask(inside.seen());
        if fate < moods.lost + moods.hang + moods.answer_lost {
            return Way::Fail;
        }
        Way::Answer(answer)
    }

    pub(super) async fn call<T>(&self, ask: impl FnOnce(&mut World) -> T) -> Result<T, ChainError> {
        match self.draw(ask) {
            Way::Answer(answer) => Ok(answer),
            Way::Fail => Err(ChainError::Unreachable("planned".into())),
            Way::Hang => {
                tokio::time::sleep(Duration::from_millis(1)).await;
                Err(ChainError::Unreachable("planned, after a while".into()))
            }
            Way::Die => {
                self.died.notify_one();
                std::future::pending().await
            }
        }
    }
}

impl Inside {
    fn seen(&mut self) -> &mut World {
        match &mut self.other {
            Some(other) if self.behind => other,
            _ => &mut self.world,
        }
    }

    fn stir(&mut self) {
        if self.rng.chance(70) {
            self.world.mine();
        } else {
            let depth = 1 + self.rng.below(3);
            let fate = [Fate::Later, Fate::Pooled, Fate::Dropped][self.rng.below(3) as usize];
            self.reorg(depth, fate);
        }
    }

    fn reorg(&mut self, depth: u64, fate: Fate) {
        let head = self.world.latest().number;
        let gone = (0..=head).filter_map(|number| self.world.block(number));
        let before: Vec<Block> = gone.collect();
        self.world.reorg(depth, fate);
        self.orphans.extend(before.into_iter().filter(|block| self.world.block(block.number) != Some(*block)));
    }
}
