// Types and documentation of holdfast.js.
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

/** A message. */
export interface Message {
  /** Also the cursor after the message. */
  id: string;
  channel: string;
  /** The time of its commit, ISO 8601. */
  time: string;
  /** The type that the publisher gave it. */
  type?: string;
  /** The value of JSON, text as a string, anything else in base64. */
  data: unknown;
  encoding?: "base64";
  contentType?: string;
}

/** Messages that are no longer available. The messages that are left follow. */
export interface Gap {
  /** "trimmed" by retention, "deleted", the log was "restarted", or "future": the cursor belongs to no log there. */
  reason: "trimmed" | "deleted" | "restarted" | "future";
  /** The cursor from which it continues. */
  resumed?: string;
}

/**
 * connecting: asking for the first time, or again. live: messages arrive as they are published. waiting: the server
 * cannot be reached; the next attempt is at `until`. refused: it will not answer, because of `problem`; it is asked
 * again after 15 to 30 seconds, because the user may log in. closed: by close().
 */
export type State = "connecting" | "live" | "waiting" | "refused" | "closed";

export interface Info {
  /** While live: how messages arrive. While connecting or closed, Info is empty. */
  transport?: "sse" | "poll";
  /** While waiting or refused: milliseconds, comparable to Date.now(). */
  until?: number;
  problem?: string;
}

export interface Handlers {
  message?(message: Message): void;
  gap?(gap: Gap): void;
  state?(state: State, info: Info): void;
}

/** Subscriptions with equal options, in any order and apart from `since` and `persist`, share one connection, across all tabs. */
export interface Options {
  /** Where Holdfast is mounted, for example "/push/", or on another port or host, which needs [cors] in the ini file. The default is where this script came from; in Node it is required. */
  base?: string;
  /** Whether cookies are sent to another host, too: as in fetch, "same-origin" by default. */
  credentials?: RequestCredentials;
  /** A token (JWT) for a [key] section of the ini file, or a function that fetches one. The function is asked again half a minute before its token expires (at half its life, if that is shorter than a minute), and when the server refuses it; a subscription goes on with the new one and misses nothing. */
  token?: string | (() => string | Promise<string>);
}

export interface SubscribeOptions extends Options {
  /** Where to start: a cursor, "now" (default), "first", "last:20" (of each channel), "age:10m". */
  since?: string;
  /** Continue where this tab ("session") or this browser ("local") was with these channels, even after a reload. */
  persist?: "session" | "local";
  /** The name that others see, where the channel has presence. */
  name?: string;
  /** "auto": a stream if one comes through within three seconds, else long-poll, and a stream again after five minutes. */
  transport?: "auto" | "sse" | "poll";
  /** Whole seconds for which a long-poll is held; 25 by default. With 0 it asks every one or two seconds. */
  wait?: number;
  /** False: its own connection. Otherwise all tabs of an origin share one if the browser has Web Locks (on https and localhost) and BroadcastChannel. If one request for all is refused because it names too many channels ([limits] channels_per_request), some get their own connections. */
  share?: boolean;
}

export interface Subscription {
  readonly channels: string[];
  /** After the last message handed over. Undefined, or as in `since`, before the first answer. */
  readonly cursor: string | undefined;
  readonly state: State;
  close(): void;
}

/** Calls the handler with each message once and in order, or reports a gap. */
export function subscribe(
  channels: string | string[],
  handlers: Handlers | ((message: Message) => void),
  options?: SubscribeOptions,
): Subscription;

export interface PublishOptions extends Options {
  /** The message's type: the name of the event in a stream. */
  type?: string;
  /** Seconds after which the message is no longer replayed. */
  ttl?: number;
  /** Replaces the channel's earlier message with the same topic. */
  topic?: string;
  /** Of several messages with the same key, only the first counts. Random by default, so that retries are harmless. */
  key?: string;
  /** How often to try again if the server cannot be reached or is busy; 5 by default. */
  retries?: number;
  /** If set, `data` is any body of fetch. Otherwise a string is sent as text, and anything else as JSON. */
  contentType?: string;
  /** Ends it at once, even while it waits to try again; whether the message was committed is then unknown. */
  signal?: AbortSignal;
}

/** Resolves when the message is committed. */
export function publish(
  channels: string | string[],
  data: unknown,
  options?: PublishOptions,
): Promise<{ status: "sent"; id: string; ids?: string[]; cursor: string }>;

/** The error of a rejection, unless the network failed. */
export interface Problem extends Error {
  status: number;
  /** Stable, such as "publish_forbidden"; the error's message is a sentence for people. */
  code?: string;
  /** Seconds; 0 if the server gave none. */
  retryAfter: number;
  /** Trying again is useless. */
  refused: boolean;
}

export interface Member {
  name: string;
  /** The web server has verified this user. */
  verified: boolean;
  since: string;
}

/** The members at present. */
export function presence(
  channel: string,
  handler?: undefined,
  options?: SubscribeOptions,
): Promise<{ channel: string; cursor: string; members: Member[] }>;

/** Calls the handler with the members, and again at each change; with null if the channel has no presence. `since` and `persist` are ignored. */
export function presence(
  channel: string,
  handler: (members: Member[] | null, change?: { type: "join" | "leave"; name: string } | Problem) => void,
  options?: SubscribeOptions,
): { close(): void };

/** Closes all subscriptions of this page, and tells the server, unless other tabs continue. */
export function leave(): void;

/** Parses an event stream by the HTML standard: takes text in any pieces, emits each event, returns the last event id. */
export function eventParser(
  emit: (type: string, data: string, id: string) => void,
  retry?: (milliseconds: number) => void,
): (text: string) => string;
