/** A fault in one screen leaves the rest of the studio standing, and the run going on. */
import { Component, type ReactNode } from 'react';
import { toUserMessage, type UserMessage } from '../../config/errors.ts';
import { ErrorPanel } from '../components/ErrorPanel.tsx';

export class ScreenBoundary extends Component<{ children: ReactNode }, { error: UserMessage | null }> {
  override state: { error: UserMessage | null } = { error: null };

  static getDerivedStateFromError(error: unknown): { error: UserMessage } {
    return { error: toUserMessage(error) };
  }

  override render(): ReactNode {
    const { error } = this.state;
    if (!error) return this.props.children;
    return <ErrorPanel error={error} action={{ label: 'Show the screen again', onClick: () => this.setState({ error: null }) }} />;
  }
}
