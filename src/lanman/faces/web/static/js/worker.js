/* The SharedWorker that holds the one stream of events for all tabs of this browser. All that it does is `Shared`. */

import { Shared } from "./streamcore.js";

const shared = new Shared();
self.onconnect = (event) => shared.add(event.ports[0]);
