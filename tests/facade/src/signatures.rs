//! The functions and methods that gmr-tokio replaces: the same code compiles with tokio's and with
//! gmr-tokio's, so that they take and return the same types under the same conditions.

macro_rules! signatures {
    ($module:ident, $tokio:ident) => {
        mod $module {
            //! Functions that use what is replaced. Nothing calls them.
            #![allow(dead_code)]

            use std::fmt::Debug;
            use std::future::Future;
            use std::task::{Context, Poll};

            use $tokio::runtime::{Handle, Id as RuntimeId, Runtime};
            use $tokio::task::{
                self, AbortHandle, Id, JoinError, JoinHandle, JoinSet, LocalEnterGuard, LocalSet,
            };

            /// The path leads to a function of this type.
            fn is<F>(_: F) {}

            fn is_debug<D: Debug>() {}

            fn is_a_set<S: Future<Output = ()> + Debug + Default + Unpin>() {}

            fn functions<F, L, B, R>()
            where
                F: Future<Output = R> + Send + 'static,
                L: Future + 'static,
                L::Output: 'static,
                B: FnOnce() -> R + Send + 'static,
                R: Send + 'static,
            {
                is::<fn(F) -> JoinHandle<R>>($tokio::spawn::<F>);
                is::<fn(F) -> JoinHandle<R>>(task::spawn::<F>);
                is::<fn(L) -> JoinHandle<L::Output>>(task::spawn_local::<L>);
                is::<fn(B) -> JoinHandle<R>>(task::spawn_blocking::<B, R>);
            }

            fn spawning_in_a_set<F, L, B, T, U>(local_set: &LocalSet, l: L, set: &mut JoinSet<U>)
            where
                F: Future<Output = T> + Send + 'static,
                L: Future<Output = U> + 'static,
                B: FnOnce() -> T + Send + 'static,
                T: Send + 'static,
                U: 'static,
            {
                type Set<T> = JoinSet<T>;
                is::<fn(&mut Set<T>, F) -> AbortHandle>(Set::spawn::<F>);
                is::<fn(&mut Set<T>, F, &Handle) -> AbortHandle>(Set::spawn_on::<F>);
                is::<fn(&mut Set<U>, L) -> AbortHandle>(Set::spawn_local::<L>);
                is::<fn(&mut Set<T>, B) -> AbortHandle>(Set::spawn_blocking::<B>);
                is::<fn(&mut Set<T>, B, &Handle) -> AbortHandle>(Set::spawn_blocking_on::<B>);
                // It takes tokio's `LocalSet`, to which gmr-tokio's dereferences.
                let _: AbortHandle = set.spawn_local_on(l, local_set);
            }

            fn creating_a_set<T>() {
                is::<fn() -> JoinSet<T>>(JoinSet::new);
                is::<fn() -> JoinSet<T>>(JoinSet::default);
                is::<fn(&JoinSet<T>) -> usize>(JoinSet::len);
                is::<fn(&JoinSet<T>) -> bool>(JoinSet::is_empty);
                is_debug::<JoinSet<T>>();
            }

            fn filling_a_set<F, T>(futures: Vec<F>) -> JoinSet<T>
            where
                F: Future<Output = T> + Send + 'static,
                T: Send + 'static,
            {
                let mut set: JoinSet<T> = Vec::<F>::new().into_iter().collect();
                set.extend(futures);
                set
            }

            fn emptying_a_set<T: 'static>() {
                type Set<T> = JoinSet<T>;
                type Joined<T> = Option<Result<T, JoinError>>;
                is::<fn(&mut Set<T>) -> Joined<T>>(Set::try_join_next);
                is::<fn(&mut Set<T>) -> Joined<(Id, T)>>(Set::try_join_next_with_id);
                is::<fn(&mut Set<T>)>(Set::abort_all);
                is::<fn(&mut Set<T>)>(Set::detach_all);
                is::<for<'a, 'b> fn(&mut Set<T>, &'a mut Context<'b>) -> Poll<Joined<T>>>(
                    Set::poll_join_next,
                );
                is::<for<'a, 'b> fn(&mut Set<T>, &'a mut Context<'b>) -> Poll<Joined<(Id, T)>>>(
                    Set::poll_join_next_with_id,
                );
            }

            fn join_next<T: Send + 'static>(
                set: &mut JoinSet<T>,
            ) -> impl Future<Output = Option<Result<T, JoinError>>> + Send {
                JoinSet::join_next(set)
            }

            fn join_next_with_id<T: Send + 'static>(
                set: &mut JoinSet<T>,
            ) -> impl Future<Output = Option<Result<(Id, T), JoinError>>> + Send {
                JoinSet::join_next_with_id(set)
            }

            fn shutdown<T: Send + 'static>(set: &mut JoinSet<T>) -> impl Future<Output = ()> + Send {
                JoinSet::shutdown(set)
            }

            fn join_all<T: Send + 'static>(set: JoinSet<T>) -> impl Future<Output = Vec<T>> + Send {
                JoinSet::join_all(set)
            }

            fn local_set<F, L>()
            where
                F: Future,
                L: Future + 'static,
                L::Output: 'static,
            {
                is::<fn() -> LocalSet>(LocalSet::new);
                is::<fn() -> LocalSet>(LocalSet::default);
                is::<fn(&LocalSet) -> LocalEnterGuard>(LocalSet::enter);
                is::<fn(&LocalSet) -> RuntimeId>(LocalSet::id);
                is::<fn(&LocalSet, L) -> JoinHandle<L::Output>>(LocalSet::spawn_local::<L>);
                is::<fn(&LocalSet, &Runtime, F) -> F::Output>(LocalSet::block_on::<F>);
                is_a_set::<LocalSet>();
            }

            fn run_until<F: Future>(set: &LocalSet, future: F) -> impl Future<Output = F::Output> {
                LocalSet::run_until(set, future)
            }
        }
    };
}

signatures!(of_the_facade, tokio);
signatures!(of_tokio, tokios);
