/** Lets asynchronous loops wait for each other's state. */
export interface Condition {
  /** State has changed: those who wait look again. */
  notify(): void;
  until(test: () => boolean): Promise<void>;
}

export function createCondition(): Condition {
  let next = Promise.withResolvers<void>();
  return {
    notify: () => {
      next.resolve();
      next = Promise.withResolvers();
    },
    until: async (test) => {
      while (!test()) await next.promise;
    },
  };
}
