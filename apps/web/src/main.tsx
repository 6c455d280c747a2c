import { createSignal, ErrorBoundary, Match, Switch, type JSX } from 'solid-js'
import { render } from 'solid-js/web'
import { App } from './app.tsx'
import { openCluster, sentenceOf, type Cluster } from './cluster.ts'
import { parseOverrides } from './overrides.ts'
import { createPage, PageContext } from './page.ts'
import { availableStorage, createRememberedRoom } from './remembered-room.ts'
import { createAnnouncer } from './ui/announcer.tsx'
import { Flame } from './ui/flame.tsx'
import { Breakdown } from './views/breakdown.tsx'
import './styles/tokens.css'
import './styles/base.css'
import './styles/controls.css'

const overrides = parseOverrides(location.search)
const storage = availableStorage()

// Another room's link opened in this tab changes the fragment alone, and the browser loads no page for that.
window.addEventListener('hashchange', () => location.reload())
// A page that the browser had put aside has said goodbye to the others (Safari 18 does that in spite of WebRTC).
window.addEventListener('pageshow', ({ persisted }) => {
  if (persisted) location.reload()
})

function Root(): JSX.Element {
  const [cluster, setCluster] = createSignal<Cluster>()
  const [problem, setProblem] = createSignal<string>()
  openCluster(overrides, createRememberedRoom(storage)).then(
    (opened) => setCluster(() => opened),
    (thrown: unknown) => setProblem(sentenceOf(thrown)),
  )
  return (
    <ErrorBoundary fallback={(thrown: unknown) => <Breakdown sentence={sentenceOf(thrown)} />}>
      <Switch fallback={<Opening />}>
        <Match when={problem()}>{(sentence) => <Breakdown sentence={sentence()} />}</Match>
        <Match when={cluster()}>{(opened) => <OpenPage cluster={opened()} />}</Match>
      </Switch>
    </ErrorBoundary>
  )
}

function Opening(): JSX.Element {
  return (
    <main class="opening">
      <Flame />
      <h1>Hearth</h1>
      <p class="muted" role="status">
        Starting…
      </p>
    </main>
  )
}

function OpenPage(props: { cluster: Cluster }): JSX.Element {
  const { announce, Region } = createAnnouncer()
  return (
    <PageContext.Provider value={createPage(props.cluster, overrides, storage, announce)}>
      <App />
      <Region />
    </PageContext.Provider>
  )
}

render(Root, document.getElementById('root')!)
