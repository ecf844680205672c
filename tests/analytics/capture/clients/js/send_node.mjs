// Send events with posthog-node, and say what it was told: node send_node.mjs HOST KEY
import { PostHog } from 'posthog-node'

const [host, key] = process.argv.slice(2)
const errors = []
const client = new PostHog(key, { host, flushAt: 100, personalApiKey: 'phx_secret' })
client.on('error', (error) => errors.push(String(error)))
for (let n = 0; n < 250; n++) client.capture({ distinctId: 'u1', event: 'counted', properties: { n } })
client.capture({ distinctId: 'u1', event: 'signup', properties: { plan: 'pro', ratio: NaN } })
client.identify({ distinctId: 'u1', properties: { $set: { email: 'a@x' }, $set_once: { first: '1' } } })
client.alias({ distinctId: 'u1', alias: 'anon-1' })
client.groupIdentify({ groupType: 'company', groupKey: 'c1', properties: { name: 'Acme' } })
const flag = (await client.getFeatureFlag('new-dash', 'u2')) ?? null
const all = await client.getAllFlags('u3')
await client.shutdown()
console.log(JSON.stringify({ errors, flag, all }))
