// Types of holdfast.js, and what everything means.
//
//   <script type="module">
//   import { subscribe, publish } from "/push/-/holdfast.js";
//   subscribe("news", (message) => console.log(message.data));
//   publish("news", { hello: "world" });
//   </script>
//
// or, as a plain script that defines the global "holdfast":
//
//   <script src="/push/-/holdfast.classic.js"></script>
//   <script>holdfast.subscribe("news", (message) => console.log(message.data));</script>

/** A message as everybody gets it. */
export interface Message {
  /** Also the cursor behind the message. */
  id: string;
  channel: string;
  /** When it was committed, ISO 8601. */
  time: string;
  /** What the publisher called it. */
  type?: string;
  /** The value of JSON, text as a string, anything else in base64. */
  data: unknown;
  encoding?: "base64";
  contentType?: string;
}

/** Messages that can't be had any more. What is left comes next. */
export interface Gap {
  /** "trimmed" by retention, "deleted", the log was "restarted", or "future": the cursor is of no log there. */
  reason: "trimmed" | "deleted" | "restarted" | "future";
  /** Where it goes on. */
  resumed?: string;
}

/**
 * connecting: asking for the first time, or again. live: messages come as they are published. waiting: the server
 * can't be reached; the next try is at `until`. refused: it won't answer, because of `problem`; it is asked again
 * now and then, for somebody may log in. closed: by close().
 */
export type State = "connecting" | "live" | "waiting" | "refused" | "closed";

export interface Info {
  /** While live: how messages come. While connecting or closed there is nothing at all in it. */
  transport?: "sse" | "poll";
  /** While waiting or refused: milliseconds as of Date.now(). */
  until?: number;
  problem?: string;
}

export interface Handlers {
  message?(message: Message): void;
  gap?(gap: Gap): void;
  state?(state: State, info: Info): void;
}

/** Subscriptions whose options are equal, in any order, and but for `since` and `persist`, share one connection, in all tabs. */
export interface Options {
  /** Where Holdfast is mounted, "/push/" say, or on another port or host, which needs [cors] in the ini file. By default where this script came from; in Node it must be given. */
  base?: string;
  /** Whether cookies go to another host too: as in fetch, "same-origin" by default. */
  credentials?: RequestCredentials;
}

export interface SubscribeOptions extends Options {
  /** Where to begin: a cursor, "now" (default), "first", "last:20" (of each channel), "age:10m". */
  since?: string;
  /** Go on where this tab ("session") or this browser ("local") was with these channels, also after a reload. */
  persist?: "session" | "local";
  /** What others may see of this subscriber, where the channel has presence. */
  name?: string;
  /** "auto": a stream where one comes through within three seconds, else long-poll, and a stream again after five minutes. */
  transport?: "auto" | "sse" | "poll";
  /** Whole seconds a long-poll is held; 25 by default. With 0 it asks every one or two seconds. */
  wait?: number;
  /** False: a connection of its own. Otherwise all tabs of an origin share one where the browser has Web Locks (on https and localhost) and BroadcastChannel. Where one request for all is refused, because it names too many channels ([limits] channels_per_request), some go on with connections of their own. */
  share?: boolean;
}

export interface Subscription {
  readonly channels: string[];
  /** Behind the last message that was handed over. Undefined or as in `since` before the first answer. */
  readonly cursor: string | undefined;
  readonly state: State;
  close(): void;
}

/** Calls with each message once and in order, or tells of a gap. */
export function subscribe(
  channels: string | string[],
  handlers: Handlers | ((message: Message) => void),
  options?: SubscribeOptions,
): Subscription;

export interface PublishOptions extends Options {
  /** The message's type: the name of the event in a stream. */
  type?: string;
  /** Seconds after which it is not replayed any more. */
  ttl?: number;
  /** Takes the place of the channel's earlier message of the same topic. */
  topic?: string;
  /** Of publishing with equal keys only the first counts. By default a random one, so that retrying is harmless. */
  key?: string;
  /** How often to try again where the server can't be reached or is busy; 5 by default. */
  retries?: number;
  /** Then `data` is any body of fetch. Otherwise a string is sent as text, and anything else as JSON. */
  contentType?: string;
  /** Ends it at once, also while it waits to try again; whether the message was kept is then unknown. */
  signal?: AbortSignal;
}

/** Resolves when the message is committed. */
export function publish(
  channels: string | string[],
  data: unknown,
  options?: PublishOptions,
): Promise<{ status: "sent"; id: string; ids?: string[]; cursor: string }>;

/** What rejections are, unless the network failed. */
export interface Problem extends Error {
  status: number;
  /** Stable, as in "publish_denied"; the message is a sentence for people. */
  code?: string;
  /** Seconds; 0 where the server said nothing. */
  retryAfter: number;
  /** Trying again is no use. */
  refused: boolean;
}

export interface Member {
  name: string;
  /** The web server says that it is this user. */
  verified: boolean;
  since: string;
}

/** Who is there now. */
export function presence(
  channel: string,
  handler?: undefined,
  options?: SubscribeOptions,
): Promise<{ channel: string; cursor: string; members: Member[] }>;

/** Calls with who is there, and each time that changes; with null where the channel has no presence. `since` and `persist` do not count. */
export function presence(
  channel: string,
  handler: (members: Member[] | null, change?: { type: "join" | "leave"; name: string } | Problem) => void,
  options?: SubscribeOptions,
): { close(): void };

/** Closes all subscriptions of this page, and tells the server, unless other tabs go on. */
export function leave(): void;

/** Reads an event stream as the HTML standard says: gets text in any pieces, emits each event, returns the last event id. */
export function eventParser(
  emit: (type: string, data: string, id: string) => void,
  retry?: (milliseconds: number) => void,
): (text: string) => string;
