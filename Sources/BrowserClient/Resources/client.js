// See holdfast.d.ts and developing.md.
const HELLO = 3, BEAT = 15, SLACK = 20, LONGEST = 30, QUIET = 300; // s
const MORE = 0, BACK = 1, OVER = 2;
const page = globalThis.document;
const links = new Map();
const silent = new Map();
const tokens = new WeakMap();

const now = () => Date.now() / 1000;
const some = (object) => Object.fromEntries(Object.entries(object).filter(([, value]) => value));
const random = () => {
	if (globalThis.crypto?.randomUUID) return crypto.randomUUID();
	const url = URL.createObjectURL(new Blob());
	URL.revokeObjectURL(url);
	return url.slice(-36);
};

const sleeper = () => {
	let end, firm;
	return {
		sleep: (seconds, least) =>
			new Promise((resolve) => {
				const timer = setTimeout(resolve, Math.min(seconds, 1e6) * 1000);
				firm = least;
				end = () => {
					clearTimeout(timer);
					resolve();
				};
			}),
		wake: (why) => why >= firm && end(),
	};
};

const call = (handler, ...values) => {
	try {
		handler?.(...values);
	} catch (error) {
		console.error(error);
	}
};

const lost = (status) => Object.assign(new Error("connection lost"), { status });

const hush = (base) => silent.set(base, now() + QUIET);

const beyond = (a, b = "") => {
	const [log, place] = a.split("-"), [other, there] = b.split("-");
	return log !== other || parseInt(place, 16) > parseInt(there, 16);
};

const bearer = async (token) => {
	if (!token?.call) return token;
	let own = tokens.get(token);
	if (!(own?.until > now())) {
		own = { text: await token() };
		const left = JSON.parse(atob(own.text.split(".")[1].replace(/-/g, "+").replace(/_/g, "/"))).exp - now();
		own.until = now() + Math.max(left - LONGEST, left / 2);
		tokens.set(token, own);
	}
	return own.text;
};

const ask = async (url, { credentials, token }, init) => {
	const own = await bearer(token);
	const headers = some({ ...init.headers, Authorization: own && "Bearer " + own });
	const response = await fetch(url, { credentials, cache: "no-store", ...init, headers });
	const { ok, status } = response;
	if (status === 401) tokens.delete(token);
	if (ok && status !== 204) return response;
	const { code, detail = `HTTP ${status}` } = await response.json().catch(() => ({}));
	const wait = response.headers.get("Retry-After");
	throw Object.assign(new Error(detail), {
		status, code,
		retryAfter: Math.max(wait > 0 ? wait : Date.parse(wait) / 1000 - now(), 0) || 0,
		refused: status < 500 && status !== 408 && status !== 429 && !(code === "expired" && token?.call),
	});
};

const delay = (tries, { retryAfter }, least = 0) =>
	(retryAfter || Math.max(Math.min(2 ** tries, LONGEST), least) / 2) * (1 + Math.random());

const least = ({ retryAfter }) => (retryAfter ? OVER : BACK);

const why = (wait, { message }) => ({ until: Date.now() + wait * 1000, problem: message });

const insist = async (act, signal, retries) => {
	const { sleep, wake } = sleeper();
	signal?.addEventListener("abort", () => wake(OVER));
	for (let tries = 0; ; ) {
		try {
			return await act();
		} catch (error) {
			if (error.refused || signal?.aborted || tries >= retries) throw error;
			await sleep(delay(tries++, error), OVER);
		}
	}
};

const settle = ({ base = new URL("../", script).href, ...rest } = {}) => ({
	...rest,
	base: new URL(base.replace(/\/*$/, "/"), globalThis.location?.href).href,
});

const listed = (channels) => {
	const list = [...new Set([channels].flat())].sort();
	for (const name of list) {
		if (!/^(?!(-|(.*\/)?\.{0,2})(\/|$))[\w.~/-]+$/.test(name)) throw new TypeError(`no channel: '${name}'`);
	}
	return list;
};

const read = (accept, options, channels, parameters, signal) => {
	const query = new URLSearchParams(some(parameters)), init = { headers: { Accept: accept }, signal };
	const url = `${options.base}${channels}?${query}`;
	if (url.length < 4000) return ask(url, options, init);
	channels.forEach((one) => query.append("channel", one));
	return ask(options.base + "?op=read", options, { ...init, method: "POST", body: query });
};

const poll = async (...request) => (await read("application/json", ...request)).json();

const eventParser = (emit, retry) => {
	let rest = "", type = "", data = "", id = "", last = "";
	return (text) => {
		const lines = (rest + text).split(/\r\n|\n|\r(?!$)/);
		rest = lines.pop();
		for (const line of lines) {
			const [, field, value] = /^([^:]*):?\x20?(.*)$/s.exec(line);
			if (!line) {
				if (data) emit(type || "message", data.slice(0, -1), id);
				type = data = "";
				last = id;
			} else if (field === "data") data += value + "\n";
			else if (field === "event") type = value;
			else if (field === "id" && !value.includes("\0")) id = value;
			else if (field === "retry" && /^\d+$/.test(value)) retry?.(+value);
		}
		return last;
	};
};

const connect = (key, options) => {
	const { base, name, transport, wait: longest = 25 } = options;
	const tab = random(), readers = new Set(), wants = new Map();
	let share = options.share !== false && page && navigator.locks;
	let subscriber = random();
	let bus, queued, release, term;
	const { sleep, wake } = sleeper();
	let abort, again, channels, cursor, refusals = 0, retry = 0, beat = BEAT;
	let silence, timer, closed = true;
	let last = 0, quick = true;

	const say = (message) => bus?.postMessage(term ? { ...message, lead: [subscriber, link.news] } : message);

	const hear = ({ data: { want, prod, who, alone, recheck, batch, lead: leader } }) => {
		if (want) {
			wants.delete(want.tab);
			if (want.channels.length) wants.set(want.tab, want);
		}
		if (term) {
			if (want || prod) say();
			if (want) changed();
			if (prod > 1) link.wake();
		}
		if (!leader || term) return;
		listen(4 * BEAT, () => rouse(1));
		subscriber = leader[0];
		if (transport !== "poll" && leader[1][1].transport === "poll") hush(base);
		tell(...leader[1]);
		if (alone === tab) readers.forEach((reader) => reader.part());
		if (who) link.want();
		if (recheck) recheckAll();
		if (batch) take(batch);
	};

	const listen = (seconds, act) => {
		clearTimeout(silence);
		silence = setTimeout(act, seconds * 1000);
	};

	const rouse = (prod) => {
		say({ prod });
		listen(HELLO + Math.random(), () => queue(true));
	};

	const queue = (steal) => {
		let mine;
		queued?.abort();
		queued = new AbortController();
		navigator.locks
			.request(key, steal ? { steal } : { signal: queued.signal }, () => closed || new Promise((resolve) => {
				release = resolve;
				lead();
				mine = term;
			}))
			.catch((error) => {
				if (closed) return;
				if (error.name !== "AbortError") {
					share = null;
					lead();
				} else if (mine && mine === term) {
					resign();
					queue();
				}
			});
	};

	const resign = () => {
		term = null;
		clearTimeout(timer);
		abort?.abort();
		wake(OVER);
		release?.();
	};

	const joined = () => [...readers].filter((reader) => reader.joined);
	const union = () => listed([...joined(), ...wants.values()].flatMap((one) => one.channels));

	const changed = () => {
		wake(MORE);
		if (union().some((one) => !channels?.includes(one))) restart();
	};

	const take = (batch) => {
		cursor = batch.to;
		readers.forEach((reader) => reader.take(batch));
	};

	const deliver = (to, messages = []) => {
		const batch = { from: cursor, to, channels, messages };
		say({ batch });
		take(batch);
	};

	const recheckAll = (to = cursor) => {
		cursor = to;
		if (term) say({ recheck: 1 });
		readers.forEach((reader) => reader.catchUp());
	};

	const split = () => {
		const [one] = wants.keys(), mine = joined();
		if (wants.delete(one)) say({ alone: one });
		else if (mine[1]) mine.pop().part();
		else if (transport !== "sse") hush(base);
	};

	const tell = (state, info = {}) => {
		link.news = [state, info];
		if (term) say();
		readers.forEach((reader) => reader.tell());
	};

	const restart = () => {
		again = true;
		abort?.abort();
	};

	const watch = (seconds, status) => {
		clearTimeout(timer);
		timer = setTimeout(() => abort.abort(lost(status)), seconds * 1000);
	};

	const lead = async () => {
		const mine = (term = {});
		let tries = 0;
		clearTimeout(silence);
		quick = true;
		say({ who: 1 });
		while (term === mine) {
			channels = union();
			cursor ??= joined()[0]?.cursor;
			if (!channels.length || !cursor) {
				await sleep(LONGEST, MORE);
				continue;
			}
			abort = new AbortController();
			again = false;
			const began = (last = now());
			deliver(cursor);
			const streams = transport === "sse" || (transport !== "poll" && !(silent.get(base) > now()));
			let wait = 0, firm = OVER;
			try {
				wait = await (streams ? stream : hold)(abort.signal);
				tries = 0;
			} catch (error) {
				if (term !== mine) return;
				if (!again) {
					error = abort.signal.reason ?? error;
					if (streams && transport !== "sse" && error.status === 406) {
						hush(base);
					} else {
						if (last - began > LONGEST) tries = 0;
						if (error.refused) {
							recheckAll();
							if (refusals++) split();
						}
						wait = delay(tries++, error, retry);
						firm = least(error);
						tell("waiting", why(wait, error));
					}
					quick = true;
				}
			}
			clearTimeout(timer);
			abort.abort();
			if (wait) await sleep(wait, firm);
			if (term === mine && link.news[0] === "waiting") tell("connecting");
		}
	};

	const answered = (by) => {
		quick = false;
		refusals = 0;
		tell("live", { transport: by });
	};

	const hold = async (signal) => {
		const first = quick, wait = first ? 0 : longest;
		watch(wait + SLACK);
		const answer = await poll(options, channels, { since: cursor, wait, subscriber, name }, signal);
		answered("poll");
		if (answer.gap) recheckAll(answer.cursor);
		else deliver(answer.cursor, answer.messages);
		return !first && !answer.messages.length && now() - last < 1 ? 1 + Math.random() : 0;
	};

	const stream = async (signal) => {
		let messages = [], bye;
		quick = true;
		retry = 0;
		watch(HELLO, 406);
		const response = await read("text/event-stream", options, channels, { since: cursor, subscriber, name }, signal);
		if (!/event-stream/.test(response.headers.get("Content-Type"))) throw lost(406);
		const parse = eventParser((type, data) => {
			data = JSON.parse(data);
			if (type === "hello") {
				beat = data.heartbeat ?? BEAT;
				answered("sse");
			} else if (type === "gap") {
				messages = [];
				recheckAll(data.resumed ?? data.cursor);
			} else if (type === "bye") bye = data.reason;
			else messages.push(data);
		}, (time) => (retry = time / 1000));
		for (const body = response.body.getReader(), text = new TextDecoder(); ; ) {
			const { done, value } = await body.read();
			if (done) throw lost(quick && !retry && 406);
			last = now();
			const to = parse(text.decode(value, { stream: true })) || cursor;
			if (!quick) watch(2.5 * beat);
			deliver(to, messages);
			if (bye) return /lifetime|shutdown/.test(bye) ? Math.random() : retry * (1 + Math.random());
			messages = [];
		}
	};

	const link = {
		readers,
		news: ["connecting", {}],

		open() {
			if (!closed) return;
			closed = false;
			readers.forEach((reader) => reader.catchUp());
			if (!share) return lead();
			bus = new BroadcastChannel(key);
			bus.onmessage = hear;
			queue();
		},

		close(kept) {
			if (closed) return;
			closed = true;
			if (page && term && !kept && !wants.size) navigator.sendBeacon(base + "-/leave", new URLSearchParams({ subscriber }));
			resign();
			queued?.abort();
			clearTimeout(silence);
			link.want();
			bus?.close();
			bus = null;
			if (!kept) links.delete(key);
		},

		want() {
			if (term) changed();
			else say({ want: { tab, channels: closed ? [] : joined().flatMap((one) => one.channels) } });
		},

		wake(online) {
			wake(BACK);
			readers.forEach((reader) => reader.wake(BACK));
			if (!term) rouse(2);
			else if (online || now() - last > beat + SLACK) restart();
		},
	};
	links.set(key, link);
	link.open();
	return link;
};

const subscribe = (names, handlers, given) => {
	const options = settle(given);
	const { since, persist, ...shared } = options;
	const channels = listed(names);
	const { message: give, gap, state: show } = handlers.call ? { message: handlers } : handlers;
	const key = "holdfast " + JSON.stringify(Object.entries(shared).sort());
	const place = `holdfast ${options.base}${channels}`;
	const { sleep, wake } = sleeper();
	let cursor = since, kept = null, more, own, told, closed;

	const stored = (value) => {
		try {
			const storage = globalThis[persist + "Storage"];
			return value ? storage.setItem(place, value) : storage.getItem(place);
		} catch {}
	};
	const news = () => (closed ? ["closed", {}] : own ?? link.news);
	const move = (to) => stored((cursor = to));
	cursor = stored() ?? since;

	const receive = (message) => {
		if (closed || !channels.includes(message.channel) || !beyond(message.id, cursor)) return;
		move(message.id);
		call(give, message);
	};

	const reader = {
		channels,
		wake,
		joined: false,
		get cursor() {
			return cursor;
		},
		get state() {
			return news()[0];
		},

		tell() {
			if (told !== (told = JSON.stringify(news()))) call(show, ...news());
		},

		async catchUp() {
			more = true;
			if (kept) return;
			kept = [];
			for (let tries = 0; more && !closed; ) {
				more = false;
				try {
					const answer = await poll(options, channels, { since: cursor }, AbortSignal.timeout?.(SLACK * 1000));
					tries = 0;
					own = null;
					if (answer.gap) call(gap, answer.gap);
					answer.messages.forEach(receive);
					if (!closed) move(answer.cursor);
					more ||= answer.more;
				} catch (error) {
					if (error.name === "TimeoutError") error = lost();
					more = true;
					if (error.status === 400 && cursor !== since) {
						call(gap, { reason: "future" });
						cursor = since;
						continue;
					}
					const wait = delay(error.refused ? 9 : tries++, error);
					if (error.refused && reader.joined) reader.joined = false, link.want();
					own = [error.refused ? "refused" : "waiting", why(wait, error)];
					reader.tell();
					await sleep(wait, least(error));
				}
			}
			if (closed) return;
			reader.joined = true;
			link.want();
			reader.tell();
			const batches = kept;
			kept = null;
			batches.forEach(reader.take);
		},

		take(batch) {
			if (kept) {
				if (kept.push(batch) > 1000) kept.shift();
			} else if (!channels.every((one) => batch.channels.includes(one))) link.want();
			else if (beyond(batch.from, cursor)) reader.catchUp();
			else {
				batch.messages.forEach(receive);
				if (beyond(batch.to, cursor)) move(batch.to);
			}
		},

		part() {
			quit();
			begin(connect(key + random(), { ...options, share: false }));
		},

		close() {
			if (closed) return;
			closed = true;
			quit();
			reader.tell();
			wake(OVER);
		},
	};

	let link;
	const begin = (at) => {
		link = at;
		link.readers.add(reader);
		reader.catchUp();
	};
	const quit = () => {
		link.readers.delete(reader);
		if (link.readers.size) link.want();
		else link.close();
	};
	begin(links.get(key) ?? connect(key, options));
	return reader;
};

const leave = () => links.forEach((link) => link.readers.forEach((reader) => reader.close()));

const publish = async (channels, data, options) => {
	const own = settle(options);
	const { type, ttl, topic, contentType, key = random(), retries = 5, signal } = own;
	const raw = contentType || typeof data === "string";
	const headers = some({
		"Content-Type": raw ? contentType : "application/json",
		"Idempotency-Key": key, "Holdfast-Type": type, TTL: ttl, Topic: topic,
	});
	const init = { method: "POST", headers, signal, body: raw ? data : JSON.stringify(data) };
	const url = own.base + listed(channels);
	new Request(url, init);
	return insist(async () => (await ask(url, own, init)).json(), signal, retries);
};

const presence = (channel, handler, options) => {
	const own = settle(options);
	const [name] = listed(channel);
	const over = new AbortController(), { signal } = over;
	const load = () => insist(async () => (await ask(`${own.base}-/presence/${name}`, own, { signal })).json(), signal);
	if (!handler) return load();
	let members, changes;

	const message = ({ type, data, time }) => {
		members = members.filter((one) => one.name + one.verified !== data.name + data.verified);
		if (type === "join") members.push({ since: time, ...data });
		call(handler, members, { type, ...data });
	};

	const begin = async () => {
		changes?.close();
		try {
			const { cursor: since, members: all } = await load();
			if (signal.aborted) return;
			call(handler, (members = all));
			changes = subscribe(`~presence/${name}`, { message, gap: begin }, { ...options, persist: null, since });
		} catch (error) {
			if (!signal.aborted) call(handler, null, error);
		}
	};

	begin();
	return {
		close() {
			over.abort();
			changes?.close();
		},
	};
};

if (page) {
	addEventListener("online", () => {
		silent.clear();
		links.forEach((link) => link.wake(true));
	});
	addEventListener("visibilitychange", () => page.hidden || links.forEach((link) => link.wake()));
	const close = ({ persisted = true }) => links.forEach((link) => link.close(persisted));
	const open = () => links.forEach((link) => link.open());
	addEventListener("pagehide", close);
	addEventListener("pageshow", open);
	page.addEventListener("freeze", close);
	page.addEventListener("resume", open);
}
