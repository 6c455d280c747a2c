/** simple-peer ships a browser bundle that needs no Node polyfills; its types describe the package's other entry. */
declare module 'simple-peer/simplepeer.min.js' {
  export { default } from 'simple-peer'
  export type { Instance, SignalData } from 'simple-peer'
}
