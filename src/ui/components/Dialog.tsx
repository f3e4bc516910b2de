/** A modal dialog: title, close button, content. Mantine's own header is a second page banner to screen readers, so it is not used. */
import { Modal } from '@mantine/core';
import type { ReactNode } from 'react';
import classes from './Dialog.module.css';

export function Dialog({ title, size, onClose, children }: { title: string; size: number; onClose: () => void; children: ReactNode }) {
  return (
    // Locking the scroll would inject a <style> element, which the Content-Security-Policy refuses.
    <Modal.Root opened onClose={onClose} size={size} lockScroll={false} transitionProps={{ duration: 120 }}>
      <Modal.Overlay />
      {/* Mantine names the dialog by its title one moment after it is there. */}
      <Modal.Content aria-label={title}>
        <div className={classes.head}>
          <Modal.Title>{title}</Modal.Title>
          <Modal.CloseButton aria-label="Close" />
        </div>
        <Modal.Body className={classes.body}>{children}</Modal.Body>
      </Modal.Content>
    </Modal.Root>
  );
}
