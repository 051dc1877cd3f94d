//! Groups of questions: while some are answered, those that arrive wait, and are then answered together.
//!
//! A question that arrives while there is room is answered at once. Each is answered by a reading that began after it
//! arrived. A caller who leaves stops nobody else.

use tokio::sync::{mpsc, oneshot};

/// Greatest number of questions in a group. It limits how long a group keeps a connection.
pub(super) const GROUP_MAX: usize = 256;
/// Greatest number of questions that wait for the next group. Further callers wait until there is room.
const WAITING_MAX: usize = 1_024;

/// Entrance for questions. Cheap to clone; the task behind it ends with the last clone.
#[derive(Debug)]
pub(super) struct Groups<Q, A>(mpsc::Sender<Waiting<Q, A>>);

/// Question, and the way back to its caller.
type Waiting<Q, A> = (Q, oneshot::Sender<A>);

impl<Q: Send + 'static, A: Send + 'static> Groups<Q, A> {
    /// Starts a task that gathers questions. `read` answers those of a group, in their order; who is left without an
    /// answer is told so.
    pub(super) fn start<R>(read: impl Fn(Vec<Q>) -> R + Send + 'static) -> Self
    where
        R: Future<Output = Vec<A>> + Send + 'static,
    {
        let (entrance, mut waiting) = mpsc::channel::<Waiting<Q, A>>(WAITING_MAX);
        tokio::spawn(async move {
            let mut group = Vec::new();
            // One group at a time: with two, each would have half as many questions, and as much work.
            while waiting.recv_many(&mut group, GROUP_MAX).await > 0 {
                let present = group.drain(..).filter(|(_, caller)| !caller.is_closed());
                let (questions, callers): (Vec<_>, Vec<_>) = present.unzip();
                if questions.is_empty() {
                    continue;
                }
                // In a task of its own, so that a panic ends this group alone.
                let Ok(answers) = tokio::spawn(read(questions)).await else { continue };
                for (caller, answer) in callers.into_iter().zip(answers) {
                    // A caller who has left needs no answer.
                    let _ = caller.send(answer);
                }
            }
        });
        Self(entrance)
    }

    /// Asks together with others. None if the group ended without an answer.
    pub(super) async fn ask(&self, question: Q) -> Option<A> {
        let (caller, answer) = oneshot::channel();
        self.0.send((question, caller)).await.ok()?;
        answer.await.ok()
    }
}

impl<Q, A> Clone for Groups<Q, A> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use tokio::task::JoinHandle;

    use super::*;

    /// Groups that the test answers by hand.
    struct ByHand {
        groups: Groups<usize, usize>,
        begun: mpsc::UnboundedReceiver<Begun>,
    }

    /// Questions of a group that is being read, and the way to end it.
    type Begun = (Vec<usize>, oneshot::Sender<Vec<usize>>);

    impl ByHand {
        fn start() -> Self {
            let (to, begun) = mpsc::unbounded_channel();
            let groups = Groups::start(move |questions| {
                let (end, answers) = oneshot::channel();
                to.send((questions, end)).unwrap();
                async move { answers.await.unwrap() }
            });
            Self { groups, begun }
        }

        /// Asks these questions, in their order.
        async fn ask(
            &self,
            questions: impl IntoIterator<Item = usize>,
        ) -> VecDeque<JoinHandle<Option<usize>>> {
            let mut callers = VecDeque::new();
            for question in questions {
                let groups = self.groups.clone();
                let (asked, is_asked) = oneshot::channel();
                callers.push_back(tokio::spawn(async move {
                    let answer = groups.ask(question);
                    asked.send(()).unwrap();
                    answer.await
                }));
                is_asked.await.unwrap();
            }
            callers
        }

        async fn next(&mut self) -> Begun {
            self.begun.recv().await.unwrap()
        }

        /// Begins to read a group of one question.
        async fn fill(&mut self) -> (JoinHandle<Option<usize>>, Begun) {
            let caller = self.ask([0]).await.pop_front().unwrap();
            let group = self.next().await;
            assert_eq!(group.0, [0], "nobody waits for company");
            (caller, group)
        }
    }

    /// A reading answers with ten times the question.
    fn end((questions, end): Begun) {
        end.send(questions.iter().map(|it| it * 10).collect()).unwrap();
    }

    #[tokio::test]
    async fn who_arrives_during_a_reading_is_answered_by_a_later_one_together() {
        let mut by_hand = ByHand::start();
        let (caller, group) = by_hand.fill().await;
        let late = by_hand.ask(100..=100 + GROUP_MAX).await;
        tokio::task::yield_now().await;
        assert!(by_hand.begun.try_recv().is_err(), "there is no room");
        end(group);
        assert_eq!(caller.await.unwrap(), Some(0));
        let group = by_hand.next().await;
        assert_eq!(group.0, (100..100 + GROUP_MAX).collect::<Vec<_>>());
        end(group);
        let rest = by_hand.next().await;
        assert_eq!(rest.0, [100 + GROUP_MAX]);
        end(rest);
        for (question, caller) in (100..).zip(late) {
            assert_eq!(caller.await.unwrap(), Some(question * 10));
        }
    }

    #[tokio::test]
    async fn callers_who_leave_stop_nobody_and_are_not_asked_for() {
        let mut by_hand = ByHand::start();
        let (gone, group) = by_hand.fill().await;
        let mut waiting = by_hand.ask([100, 101, 102]).await;
        // The first is being read, the second waits.
        gone.abort();
        let left = waiting.remove(1).unwrap();
        left.abort();
        assert!(gone.await.is_err() && left.await.is_err());
        end(group);
        let group = by_hand.next().await;
        assert_eq!(group.0, [100, 102]);
        end(group);
        for (question, caller) in [100, 102].into_iter().zip(waiting) {
            assert_eq!(caller.await.unwrap(), Some(question * 10));
        }
        // A group that everybody has left is not read, and takes no room.
        let waiting = by_hand.ask([200]).await;
        end(by_hand.next().await);
        assert_eq!(waiting.into_iter().next().unwrap().await.unwrap(), Some(2_000));
    }

    #[tokio::test]
    async fn a_reading_that_fails_leaves_everybody_without_an_answer_and_takes_no_room() {
        let mut by_hand = ByHand::start();
        for round in 0..4 {
            let mut callers = by_hand.ask([round]).await;
            let (_, end) = by_hand.next().await;
            if round % 2 == 0 {
                end.send(Vec::new()).unwrap();
            } else {
                // The reading panics.
                drop(end);
            }
            assert_eq!(callers.pop_front().unwrap().await.unwrap(), None, "{round}");
        }
        let mut callers = by_hand.ask([7]).await;
        end(by_hand.next().await);
        assert_eq!(callers.pop_front().unwrap().await.unwrap(), Some(70));
    }

    #[tokio::test]
    async fn the_task_ends_with_the_last_entrance() {
        let mut by_hand = ByHand::start();
        drop(by_hand.groups);
        assert!(by_hand.begun.recv().await.is_none());
    }
}
