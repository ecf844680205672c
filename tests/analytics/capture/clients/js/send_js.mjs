// Send events with posthog-js in a page of jsdom: node send_js.mjs HOST KEY PACKAGE
import { JSDOM } from 'jsdom'

const [host, key, name] = process.argv.slice(2)
const page = new JSDOM('<title>T</title>', { url: 'http://app.local:3000/pricing?utm_source=x', pretendToBeVisual: true })
const shared = [
  'window', 'document', 'location', 'history', 'XMLHttpRequest',
  'localStorage', 'sessionStorage', 'addEventListener', 'Event', 'CustomEvent', 'screen', 'self',
]
for (const each of shared) globalThis[each] = each === 'window' ? page.window : page.window[each]
Object.defineProperty(globalThis, 'navigator', { value: page.window.navigator, configurable: true })
const { posthog } = await import(`${name}/dist/module.no-external.js`)
posthog.init(key, { api_host: host, request_batching: true, autocapture: false, disable_session_recording: true })
for (let n = 0; n < 20; n++) posthog.capture('counted', { n })
posthog.identify('user-1', { email: 'a@x' }, { first: '1' })
posthog.alias('other-1')
posthog.group('company', 'c1', { name: 'Acme' })
posthog.capture('signup', { plan: 'pro' }, { send_instantly: true })
await new Promise((done) => setTimeout(done, 6000))
const flag = posthog.getFeatureFlag('new-dash') ?? null
console.log(JSON.stringify({ errors: [], flag }))
process.exit(0)
